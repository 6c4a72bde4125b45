package cost

import (
	"strings"
)

// isSync reports whether the end e of a call means that data is on the disk.
// sync_file_range is none: it flushes neither the metadata of the file nor the
// cache of the disk.
func isSync(e event) bool {
	if !e.end || e.value != 0 {
		return false
	}
	switch e.call {
	case "fsync", "fdatasync", "sync", "syncfs":
		return true
	case "msync":
		return strings.Contains(e.args, "MS_SYNC")
	}
	return false
}

// order finds in a trace whether each reply to a message came after a sync that
// can have held the message.
//
// A server announces the text with 354, reads it, and replies. For its reply to be
// after its text is on the disk, there must be a sync that began after the last
// part of the text had been read and ended before the reply was begun. The check
// is exact in this direction; it does not know which file was synced, and a sync
// for another message at the right moment satisfies it as well. That is why a
// single connection is looked at too: there is no other message then.
type order struct {
	now     int // events so far
	begun   map[int]int
	covered int // beginning of the latest-begun sync that has ended
	sockets map[string]*socket

	replies int64 // of 2xx to a text
	synced  int64 // of these, after a sync
	syncs   int64
}

// socket is the state of one connection.
type socket struct {
	lastRead int
	text     bool // 354 was sent, and no reply to the text yet
}

func newOrder() *order {
	return &order{begun: make(map[int]int), sockets: make(map[string]*socket)}
}

// add takes the next event.
func (o *order) add(e event) {
	o.now++
	if e.begin {
		o.begun[e.thread] = o.now
	}
	if isSync(e) {
		o.syncs++
		o.covered = max(o.covered, o.begun[e.thread])
		return
	}
	if !strings.HasPrefix(e.file, "socket:") && !strings.HasPrefix(e.file, "TCP") {
		return
	}
	s := o.sockets[e.file]
	if s == nil {
		s = new(socket)
		o.sockets[e.file] = s
	}
	switch e.call {
	case "read", "readv", "recvfrom", "recvmsg":
		if e.end && e.value > 0 {
			s.lastRead = o.now
		}
	case "write", "writev", "sendto", "sendmsg":
		if e.begin {
			o.reply(s, string(appendText(nil, e.args)))
		}
	}
}

// reply takes what is sent on s.
func (o *order) reply(s *socket, text string) {
	for line := range strings.Lines(text) {
		switch {
		case s.text:
			s.text = false
			if !strings.HasPrefix(line, "2") {
				break
			}
			o.replies++
			if o.covered > s.lastRead {
				o.synced++
			}
		case strings.HasPrefix(line, "354"):
			s.text = true
		}
	}
}

package imap

import (
	"sync"
	"time"

	"postrider/delivery/mailbox"
	"postrider/internal/wire"
)

// fetcher answers a FETCH, message by message, in the order of the mailbox. It holds
// no more of the answer than the connection's buffer: who does not read stops it, and
// it ends when the client is gone.
type fetcher struct {
	s    *session
	view *mailbox.View
	out  bulk
	plan fetchPlan
	uid  bool // UID FETCH: answers have the UID, whether it was asked for or not

	spans   []span          // messages that were asked for
	without []mailbox.Range // UIDs of those that nothing is said of
	marked  []mailbox.Range // UIDs of those that were marked as seen just now

	answer  func(i int, e mailbox.Entry) bool // message
	cursor  mailbox.Cursor
	reading bool      // the cursor is open
	since   time.Time // when it was opened
	writes  int       // of out, when that was looked at

	msg    mailbox.Message
	opened bool // msg is open
	entry  mailbox.Entry
	meta   *mailbox.Meta

	pieces  []octets // of a header
	header  []byte   // of a part
	decoder decoding

	texts int   // that were sent, or parts of them
	work  int64 // octets of texts read
	sent  int64 // octets of them sent

	gone    int   // messages that another session has removed
	unknown bool  // a part has an encoding that nobody can decode
	damaged error // why something could not be read
	limited bool  // too much was asked for
}

// span is a run of messages by their indexes, the end not included.
type span struct{ from, to int }

// keptHeader bounds the memory for headers that is kept.
const keptHeader = 64 << 10

// smallRoom is more than any item takes that has no text.
const smallRoom = 128

var fetchers = sync.Pool{New: func() any {
	f := &fetcher{}
	f.answer = f.message
	return f
}}

// release gives back what f holds.
func (f *fetcher) release() {
	f.closeText()
	f.closeCursor()
	f.s, f.view, f.meta, f.without, f.out = nil, nil, nil, nil, bulk{}
	f.spans, f.marked, f.header = f.spans[:0], f.marked[:0], f.header[:0]
	if cap(f.header) > keptHeader {
		f.header = nil
	}
	f.plan.reset()
	f.texts, f.work, f.sent, f.gone, f.writes = 0, 0, 0, 0, 0
	f.unknown, f.damaged, f.limited, f.uid = false, nil, false, false
	fetchers.Put(f)
}

// run answers for all messages that were asked for.
func (f *fetcher) run() {
	f.out.begin(f.s.w)
	f.each(f.answer)
	f.closeCursor()
	f.out.end()
	f.s.fetched += f.texts
	f.s.bytes += f.sent
	f.s.m.Fetched.Add(int64(f.texts))
	f.s.m.Bytes.Add(f.sent)
}

// each calls do for the messages that are to be answered for, until it returns false.
func (f *fetcher) each(do func(i int, e mailbox.Entry) bool) {
	since := uint64(0) // no message has it
	if f.plan.modified {
		since = f.plan.changedSince
	}
	more := true
	for _, sp := range f.spans {
		f.view.EachSince(sp.from, sp.to, since, func(i int, e mailbox.Entry) bool {
			more = len(f.without) > 0 && inRanges(f.without, e.UID) || do(i, e)
			return more
		})
		if !more {
			return
		}
	}
}

// message answers for one message. It reports false when no more can be said.
func (f *fetcher) message(i int, e mailbox.Entry) bool {
	if f.out.w.Failed() != nil || f.s.ended {
		return false
	}
	f.entry = e
	defer f.closeText()
	switch there, err := f.look(e.UID); {
	case err != nil:
		f.damaged = err
		return true
	case !there:
		f.gone++
		return true
	}
	f.out.need(smallRoom)
	f.out.number("* ", uint64(i)+1)
	f.out.text(" FETCH (")
	empty := true
	if f.uid {
		f.out.number("UID ", uint64(e.UID))
		empty = false
	}
	for k := range f.plan.items {
		item := &f.plan.items[k]
		if item.kind == fetchUID && f.uid {
			continue
		}
		f.out.need(smallRoom)
		if !empty {
			f.out.b = append(f.out.b, ' ')
		}
		empty = false
		if !f.item(item) {
			return false
		}
	}
	if f.isMarked(e.UID) {
		f.tellMarked()
	}
	f.out.text(")\r\n")
	if f.work-f.sent > f.s.lim.FetchWork { // enough for anybody who wants parts of texts
		f.limited = true
		return false
	}
	return true
}

// broken ends the session: a literal was announced that cannot be sent.
func (f *fetcher) broken(err error) {
	f.damaged = err
	f.s.ended = true
	f.s.w.SetReason(wire.ReasonErrors)
}

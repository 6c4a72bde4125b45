package imap

import (
	"errors"
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

	work int64 // octets of texts read
	sent int64 // octets of them sent

	gone    int   // messages that another session has removed
	unknown bool  // a part has an encoding that nobody can decode
	damaged error // why something could not be read
	limited bool  // too much was asked for
}

// span is a run of messages by their indexes, the end not included.
type span struct{ from, to int }

// workLimit is how many more octets a FETCH may have read than it sends: enough for
// anybody who wants parts of texts, a bound for who makes the server decode large ones
// again and again for an octet each.
const workLimit = 1 << 30

// cursorAge is after what time the index is looked at anew, if the client is so slow
// that it had to be waited for: what was read keeps files of it from going.
const cursorAge = time.Second

// smallRoom is more than any item takes that has no text.
const smallRoom = 128

var fetchers = sync.Pool{New: func() any { return &fetcher{} }}

// release gives back what f holds.
func (f *fetcher) release() {
	f.closeText()
	f.closeCursor()
	f.s, f.view, f.meta, f.without, f.out = nil, nil, nil, nil, bulk{}
	f.spans, f.marked, f.header = f.spans[:0], f.marked[:0], f.header[:0]
	f.plan.reset()
	f.work, f.sent, f.gone, f.writes = 0, 0, 0, 0
	f.unknown, f.damaged, f.limited, f.uid = false, nil, false, false
	fetchers.Put(f)
}

// run answers for all messages that were asked for.
func (f *fetcher) run() {
	f.out.begin(f.s.w)
	for _, sp := range f.spans {
		more := true
		f.view.Each(sp.from, func(i int, e mailbox.Entry) bool {
			if i >= sp.to {
				return false
			}
			more = !f.wanted(e) || f.message(i, e)
			return more
		})
		if !more {
			break
		}
	}
	f.closeCursor()
	f.out.end()
}

// wanted reports that a message of the spans is to be answered for.
func (f *fetcher) wanted(e mailbox.Entry) bool {
	return (!f.plan.modified || e.ModSeq > f.plan.changedSince) && (len(f.without) == 0 || !inRanges(f.without, e.UID))
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
	if f.work-f.sent > workLimit {
		f.limited = true
		return false
	}
	return true
}

// look reads what the items need; it reports false when the message is gone.
func (f *fetcher) look(uid uint32) (bool, error) {
	needs := f.plan.needs
	if needs&needText != 0 {
		if err := f.view.Message(uid, &f.msg); errors.Is(err, mailbox.ErrNoMessage) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		f.opened = true
		if f.meta = &f.msg.Meta; needs&(needItems|needHeader) == 0 {
			return true, nil
		}
	} else if needs == 0 {
		return true, nil
	}
	if err := f.openCursor(); err != nil {
		return false, err
	}
	f.meta = &f.cursor.Meta
	return f.cursor.Move(uid)
}

func (f *fetcher) openCursor() error {
	if f.writes != f.out.writes {
		if f.writes = f.out.writes; f.reading && time.Since(f.since) > cursorAge {
			f.closeCursor()
		}
	}
	if f.reading {
		return nil
	}
	var wanted mailbox.Wanted
	if f.plan.needs&needItems != 0 {
		wanted |= mailbox.WantStructure
	}
	if f.plan.needs&needHeader != 0 {
		wanted |= mailbox.WantHeader
	}
	if f.plan.needs&needPrefix != 0 {
		wanted |= mailbox.WantPrefix
	}
	f.since = time.Now()
	err := f.view.Cursor(&f.cursor, wanted)
	f.reading = err == nil
	return err
}

func (f *fetcher) closeCursor() {
	if f.reading {
		f.reading = false
		if err := f.cursor.Close(); err != nil {
			f.damaged = err
		}
	}
}

func (f *fetcher) closeText() {
	if f.opened {
		f.opened = false
		f.msg.Release()
	}
}

// openText opens the text of the message in hand, if it is not yet.
func (f *fetcher) openText() error {
	if f.opened {
		return nil
	}
	err := f.view.Message(f.entry.UID, &f.msg)
	f.opened = err == nil
	return err
}

// broken ends the session: a literal was announced that cannot be sent.
func (f *fetcher) broken(err error) {
	f.damaged = err
	f.s.ended = true
	f.s.w.SetReason(wire.ReasonErrors)
}

package imaptest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// worker is one of the sessions, over several connections.
type worker struct {
	o      *Options
	number int
	rng    *rand.Rand
	c      *Client
	can    map[string]bool
	serial int
	past   map[string]*Selected // mailboxes as they were when this session left them
	stats  Stats
	err    error
}

func (w *worker) report() error {
	if w.err == nil {
		return nil
	}
	var broken *ViolationError
	if w.o.Killed && !errors.As(w.err, &broken) {
		return nil
	}
	lines := []string{}
	if w.c != nil {
		lines = w.c.Lines
	}
	return fmt.Errorf("session %d, seed %d: %w\n%s", w.number, w.o.Seed, w.err, strings.Join(lines, "\n"))
}

func (w *worker) work(ctx context.Context) error {
	if err := w.connect(); err != nil {
		return err
	}
	for step := 0; ctx.Err() == nil && (w.o.Steps == 0 || step < w.o.Steps); step++ {
		a := w.choose()
		if err := a.do(); err != nil {
			if ctx.Err() != nil && !w.o.Killed {
				var broken *ViolationError
				if !errors.As(err, &broken) {
					return nil // another session has failed
				}
			}
			return fmt.Errorf("%s: %w", a.name, err)
		}
		w.stats[a.name]++
		if s := w.c.Selected; s != nil && !w.o.Loose {
			if err := w.o.Ledger.Told(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *worker) connect() (err error) {
	w.c, w.can, err = login(w.o, fmt.Sprintf("s%d.", w.number))
	if err != nil {
		return err
	}
	switch {
	case w.can["QRESYNC"] && w.rng.IntN(3) > 0:
		_, err = w.c.OK("ENABLE QRESYNC")
	case w.can["CONDSTORE"] && w.can["ENABLE"] && w.rng.IntN(2) > 0:
		_, err = w.c.OK("ENABLE CONDSTORE")
	}
	if err != nil {
		return err
	}
	if w.can["IMAP4REV2"] && w.rng.IntN(4) == 0 {
		if _, err := w.c.OK("ENABLE IMAP4rev2"); err != nil {
			return err
		}
	}
	if w.can["COMPRESS=DEFLATE"] && w.rng.IntN(3) == 0 {
		if err := w.c.Compress(); err != nil {
			return err
		}
		w.stats["compress"]++
	}
	return w.selectBox()
}

// box is one of the mailboxes, most often the first.
func (w *worker) box() string {
	if w.rng.IntN(2) == 0 {
		return w.o.Boxes[0]
	}
	return w.o.Boxes[w.rng.IntN(len(w.o.Boxes))]
}

// leave remembers the selected mailbox for a later QRESYNC.
func (w *worker) leave() {
	if s := w.c.Selected; s != nil && s.HighestModSeq > 0 {
		known := true
		for _, m := range s.Messages {
			known = known && m.UID != 0 && m.Known
		}
		if known {
			w.past[s.Name] = s.Clone()
		}
	}
}

func (w *worker) selectBox() error {
	w.leave()
	box := w.box()
	known := w.past[box]
	if w.c.qresync && known != nil && w.rng.IntN(4) > 0 {
		w.stats["resync"]++
		if err := w.c.Resync(box, known); err != nil {
			return err
		}
		w.c.Selected.Name = box
		if err := w.c.Verify(); err != nil {
			return err
		}
		return w.look()
	}
	how := ""
	if w.can["CONDSTORE"] && w.rng.IntN(3) == 0 {
		how = " (CONDSTORE)"
	}
	if _, err := w.c.OK("SELECT " + Quote(box) + how); err != nil {
		return err
	}
	w.c.Selected.Name = box
	if w.c.Selected.UIDValidity == 0 || w.c.Selected.UIDNext == 0 {
		return violation("SELECT without UIDVALIDITY or UIDNEXT")
	}
	return w.look()
}

// look asks for the UIDs and flags of all.
func (w *worker) look() error {
	if len(w.c.Selected.Messages) == 0 {
		return nil
	}
	_, err := w.c.OK("FETCH 1:* (UID FLAGS)")
	return err
}

// settle compares, when nobody changes anything any more, what the session was told
// with what a new one sees.
func (w *worker) settle() error {
	if _, err := w.c.OK("NOOP"); err != nil {
		return err
	}
	fresh, _, err := login(w.o, "f")
	if err != nil {
		return err
	}
	if _, err := fresh.OK("EXAMINE " + Quote(w.c.Selected.Name)); err != nil {
		return err
	}
	if len(fresh.Selected.Messages) > 0 {
		if _, err := fresh.OK("FETCH 1:* (UID FLAGS)"); err != nil {
			return err
		}
	}
	mine, theirs := w.c.Selected, fresh.Selected
	if len(mine.Messages) != len(theirs.Messages) {
		return violation("%d messages (%v), a new session sees %d (%v)", len(mine.Messages), mine.UIDs(), len(theirs.Messages), theirs.UIDs())
	}
	for i := range mine.Messages {
		m, is := mine.Messages[i], theirs.Messages[i]
		if m.UID != 0 && m.UID != is.UID || m.Known && m.UID != 0 && m.String() != is.String() {
			return violation("message %d is %v, a new session sees %v", i+1, &m, &is)
		}
	}
	return errors.Join(fresh.Logout(), w.c.Logout())
}

// some returns a few of the UIDs that the session knows.
func (w *worker) some(most int) []uint32 {
	uids := w.c.Selected.UIDs()
	w.rng.Shuffle(len(uids), func(i, j int) { uids[i], uids[j] = uids[j], uids[i] })
	uids = uids[:min(len(uids), 1+w.rng.IntN(most))]
	slices.Sort(uids)
	return uids
}

package imap

import (
	"errors"
	"time"

	"postrider/delivery/mailbox"
)

// cursorAge is after what time the index is looked at anew, if the client is so slow
// that it had to be waited for: what was read keeps files of it from going.
const cursorAge = time.Second

// look reads what the items need; it reports false when the message is gone.
func (f *fetcher) look(uid uint32) (bool, error) {
	needs := f.plan.needs
	switch {
	case needs == 0:
		return true, nil
	case needs&(needItems|needHeader) == 0 && needs&needText != 0 && f.few():
		f.meta = &f.msg.Meta
		return f.openText()
	}
	if err := f.openCursor(); err != nil {
		return false, err
	}
	f.meta = &f.cursor.Meta
	if there, err := f.cursor.Move(uid); err != nil || !there {
		return false, err
	}
	if needs&needText != 0 {
		return f.openText()
	}
	return true, nil
}

// few reports that a cursor is not worth its while: clients fetch many texts one by one.
func (f *fetcher) few() bool {
	return len(f.spans) == 1 && f.spans[0].to-f.spans[0].from <= fewMessages
}

// fewMessages: opening a cursor costs as much as opening so many texts without one.
const fewMessages = 2

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

// detach lets go of the index while a text is sent that the client may take its time
// with. What was read of it stays at hand.
func (f *fetcher) detach() {
	if f.reading {
		f.reading = false
		if err := f.cursor.Detach(); err != nil {
			f.damaged = err
		}
	}
}

// structure reads the structure of the text, where it was not asked for from the start.
func (f *fetcher) structure() (bool, error) {
	if !f.reading {
		if err := f.openCursor(); err != nil {
			return false, err
		}
		if there, err := f.cursor.Move(f.entry.UID); err != nil || !there {
			return false, err
		}
	}
	return f.cursor.Structure()
}

// openText opens the text of the message in hand, if it is not yet; it reports false
// when the message is gone.
func (f *fetcher) openText() (bool, error) {
	if f.opened {
		return true, nil
	}
	var err error
	if f.reading {
		err = f.cursor.Message(&f.msg)
	} else {
		err = f.view.Message(f.entry.UID, &f.msg)
	}
	if errors.Is(err, mailbox.ErrNoMessage) {
		return false, nil
	}
	f.opened = err == nil
	return f.opened, err
}

package mailbox

import (
	"context"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// found is a message that a change is about.
type found struct {
	uid uint32
	row rows.Entry
}

// find returns the messages in ranges that are there. The caller has the account's
// turn, so that they stay as they are.
func (m *Mailbox) find(ranges []Range) ([]found, error) {
	last := m.Status().UIDNext - 1
	var all []found
	for _, r := range normal(ranges, last) {
		err := scanEntries(m.a.s.db, m, r.From, r.To, func(uid uint32, v []byte) (bool, error) {
			all = append(all, found{uid: uid})
			return true, rows.ParseEntry(v, &all[len(all)-1].row)
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Flags changes flags of the messages in uids that are there.
func (m *Mailbox) Flags(ctx context.Context, uids []Range, c *FlagChange) (FlagResult, error) {
	var res FlagResult
	err := m.a.inTurn(ctx, frees, func() error {
		all, err := m.find(uids)
		if err != nil {
			return err
		}
		return m.a.alterInTurn(ctx, func(o *op) error {
			if m.gone {
				return ErrNoMailbox
			}
			res.Found = len(all)
			return m.flagsLocked(o, all, c, &res)
		})
	})
	return res, err
}

// flagsLocked writes the part that sets the flags of messages.
func (m *Mailbox) flagsLocked(o *op, all []found, c *FlagChange, res *FlagResult) error {
	head, flags, more, err := m.keywordBitsLocked(o.head, c.Keywords, c.Mode != RemoveFlags)
	if err != nil {
		return err
	}
	flags |= uint32(c.Flags & SystemFlags)
	modSeq := m.modSeq + 1
	o.runs.BeginFlags(head, m.box(), modSeq)
	var run record.Run
	flush := func() {
		if run.From != 0 {
			o.runs.Add(run)
		}
		run = record.Run{}
	}
	for i := range all {
		e := &all[i]
		if c.Conditional && e.row.ModSeq > c.UnchangedSince {
			res.Modified = appendUID(res.Modified, e.uid)
			flush()
			continue
		}
		f, w := flags, more
		switch c.Mode {
		case AddFlags:
			f, w = e.row.Flags|flags, e.row.More|more
		case RemoveFlags:
			f, w = e.row.Flags&^flags, e.row.More&^more
		case SetFlags:
		}
		if f == e.row.Flags && w == e.row.More {
			flush()
			continue
		}
		res.Changed++
		// A message that was not asked for may lie between this one and the last.
		if run.From == 0 || run.To+1 != e.uid || run.Flags != f || run.More != w {
			flush()
			run = record.Run{From: e.uid, Flags: f, More: w}
		}
		run.To = e.uid
	}
	flush()
	if res.Changed == 0 {
		return nil
	}
	m.modSeq, res.ModSeq = modSeq, modSeq
	o.head = o.runs.End()
	return nil
}

// appendUID adds a UID above all that are there.
func appendUID(ranges []Range, uid uint32) []Range {
	if n := len(ranges); n > 0 && ranges[n-1].To+1 == uid {
		ranges[n-1].To = uid
		return ranges
	}
	return append(ranges, Range{uid, uid})
}

// Expunge removes the messages in uids that have all flags of only; it returns how
// many there were.
func (m *Mailbox) Expunge(ctx context.Context, uids []Range, only Flags) (int, error) {
	n := 0
	err := m.a.inTurn(ctx, frees, func() error {
		all, err := m.find(uids)
		if err != nil {
			return err
		}
		return m.a.alterInTurn(ctx, func(o *op) error {
			if m.gone {
				return ErrNoMailbox
			}
			n = m.expungeLocked(o, all, only)
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// expungeLocked writes the part that expunges messages; none when there are none.
func (m *Mailbox) expungeLocked(o *op, all []found, only Flags) int {
	o.runs.BeginExpunge(o.head, m.box(), m.modSeq+1)
	var run record.Run
	n := 0
	for i := range all {
		e := &all[i]
		if Flags(e.row.Flags)&only != only {
			if run.From != 0 {
				o.runs.Add(run)
			}
			run = record.Run{}
			continue
		}
		n++
		if run.From != 0 && run.To+1 != e.uid {
			o.runs.Add(run)
			run = record.Run{}
		}
		if run.From == 0 {
			run.From = e.uid
		}
		run.To = e.uid
	}
	if run.From != 0 {
		o.runs.Add(run)
	}
	if n > 0 {
		m.modSeq++
		o.head = o.runs.End()
	}
	return n
}

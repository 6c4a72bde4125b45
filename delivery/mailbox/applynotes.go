package mailbox

import (
	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// readNotes notes which metadata there is in an account that is being read.
func (a *Account) readNotes() error {
	return scan(a.s.db, rows.MetadataFrom(nil, a.id), func(key, v []byte) (bool, error) {
		version, l, err := rows.ParseMetadata(v)
		if err != nil {
			return false, err
		}
		mark := notesMark{version, countNotes(l)}
		if id := rows.MailboxID(key); id == 0 {
			a.notesRow, a.notes = mark, mark
		} else if m := a.boxes[id]; m != nil {
			m.notesRow = mark
		}
		return true, nil
	})
}

func countNotes(l record.Notes) (n int) {
	for note := (record.Note{}); l.Next(&note); {
		n += len(note.Name) + len(note.Value)
	}
	return n
}

func (ap *applier) applyMetadata(p *record.Part) error {
	a, err := ap.account(p.Box.Account)
	if a == nil || err != nil || a.row.Deleted {
		return err
	}
	mark := &a.notesRow
	if p.Box.Mailbox != 0 {
		m := a.boxes[p.Box.Mailbox]
		if m == nil || m.row.Deleted {
			return nil
		}
		mark = &m.notesRow
		if p.Version > mark.version {
			ap.touchBox(m)
		}
	}
	if p.Version <= mark.version {
		return nil
	}
	if p.Box.Mailbox == 0 {
		ap.touch(a)
		a.renamed = true // tells the watchers of the account
	}
	*mark = notesMark{p.Version, countNotes(p.Notes)}
	var notes []record.Note
	for n := (record.Note{}); p.Notes.Next(&n); {
		notes = append(notes, n)
	}
	return ap.batch.Set(rows.MetadataKey(nil, p.Box.Account, p.Box.Mailbox), rows.AppendMetadata(nil, p.Version, notes), nil)
}

// logNotes logs metadata again, with what is in o.
func (k *copier) logNotes(o *op, b record.Box) error {
	_, err := get(k.s.db, rows.MetadataKey(nil, b.Account, b.Mailbox), func(v []byte) error {
		version, l, err := rows.ParseMetadata(v)
		var notes []record.Note
		for n := (record.Note{}); l.Next(&n); {
			notes = append(notes, n)
		}
		if err == nil {
			o.head = record.AppendMetadata(o.head, b, version, notes)
		}
		return err
	})
	return err
}

package mailbox

import (
	"fmt"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/spool"
)

// place is where a record is in the log.
type place struct {
	gen     uint64
	body    int64 // offset of the inline text
	bodyLen int64
	end     spool.LSN
}

// record brings in one record. Everything is done as the parts say, in their
// order; what is new goes into the batch and the applier's own state.
func (ap *applier) record(head []byte, at *place) error {
	if err := ap.reader.Reset(head); err != nil {
		return err
	}
	// All but plain deliveries read rows, so what the batch holds must be there. It
	// is not done within a record, which has to be in the index as a whole or not.
	if ap.reader.Copied || len(head) < 3 || record.PartKind(head[2]) != record.KindBlob {
		ap.commit()
	}
	if ap.batch == nil {
		ap.batch = ap.s.db.NewBatch()
	}
	for {
		more, err := ap.reader.Next(&ap.part)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if err := ap.apply(&ap.part, at); err != nil {
			return err
		}
	}
	ap.pending = at.end
	return nil
}

func (ap *applier) apply(p *record.Part, at *place) error {
	switch p.Kind {
	case record.KindBlob:
		return ap.applyBlob(&p.Blob, at)
	case record.KindEntry:
		return ap.applyEntry(&p.Entry)
	case record.KindKey:
		k := &p.Key
		if ap.reader.Copied && !ap.rebuilds {
			return nil // it is there, or was forgotten meanwhile
		}
		ap.s.filed.add(k)
		ap.keyBuf = rows.DeliveryKey(ap.keyBuf[:0], k.ID, k.Recipient, k.Account, k.Mailbox)
		return ap.batch.Set(ap.keyBuf, rows.AppendID(ap.valBuf[:0], k.UID), nil)
	case record.KindFlags:
		return ap.applyFlags(p)
	case record.KindExpunge:
		return ap.applyExpunge(p)
	case record.KindMailbox:
		return ap.applyMailbox(&p.Mailbox)
	case record.KindState:
		return ap.applyState(&p.State)
	case record.KindKeyword:
		return ap.applyKeyword(&p.Keyword)
	case record.KindAccount:
		return ap.applyAccount(&p.Account)
	case record.KindSubscriptions:
		return ap.applySubscriptions(p)
	case record.KindForget:
		return ap.applyForget(p)
	case record.KindMetadata:
		return ap.applyMetadata(p)
	}
	return fmt.Errorf("%w: part of kind %d", record.ErrMalformed, p.Kind)
}

// account returns the account that a part names; nil when it is gone.
func (ap *applier) account(id uint32) (*Account, error) {
	if a := ap.fresh[id]; a != nil {
		return a, nil
	}
	return ap.s.accounts.get(id)
}

// mailbox returns the mailbox that a part names; nil when it is gone.
func (ap *applier) mailbox(b record.Box) (*Mailbox, error) {
	a, err := ap.account(b.Account)
	if a == nil || err != nil {
		return nil, err
	}
	m := a.boxes[b.Mailbox]
	if m == nil || m.row.Deleted {
		return nil, nil
	}
	return m, nil
}

// touch notes that the batch changes a.
func (ap *applier) touch(a *Account) {
	if !a.touched {
		a.touched = true
		ap.accounts = append(ap.accounts, a)
	}
}

// touchBox notes that the batch changes m.
func (ap *applier) touchBox(m *Mailbox) {
	if !m.touched {
		m.touched = true
		ap.boxes = append(ap.boxes, m)
		m.a.dirty = append(m.a.dirty, m)
	}
	m.news = true
	ap.touch(m.a)
}

// applyEntry takes in a message.
func (ap *applier) applyEntry(e *record.Entry) error {
	m, err := ap.mailbox(e.Box)
	if m == nil || err != nil {
		return err
	}
	if ap.reader.Copied || ap.rebuilds {
		known, err := ap.applyCopied(m, e)
		if known || err != nil {
			return err
		}
		if !ap.rebuilds {
			return nil // gone, and a copy does not bring it back
		}
	}
	b, err := ap.blob(e.Blob)
	if err != nil {
		return err
	}
	b.row.Refs++
	ap.touchBox(m)
	row := rows.Entry{
		Flags: e.Flags, More: e.More, ModSeq: e.ModSeq, Blob: e.Blob, Variant: e.Variant, Size: uint32(e.Size),
		PrefixLen: uint16(len(e.Prefix)), HasUIDL: len(e.UIDL) > 0, Received: e.Received, Saved: e.Saved,
	}
	if err := ap.setEntry(m, e.UID, &row); err != nil {
		return err
	}
	if len(e.Prefix)+len(e.UIDL) > 0 {
		ap.keyBuf = rows.HeadKey(ap.keyBuf[:0], m.a.id, m.id, e.UID)
		ap.valBuf = rows.AppendHead(ap.valBuf[:0], e.Prefix, e.UIDL)
		if err := ap.batch.Set(ap.keyBuf, ap.valBuf, nil); err != nil {
			return err
		}
	}
	c := &m.counts
	c.UIDNext = max(c.UIDNext, e.UID+1)
	c.HighestModSeq = max(c.HighestModSeq, e.ModSeq)
	m.count(&row, 1)
	m.event(Added, e.UID, &row)
	return nil
}

// applyCopied takes in a message that may be known already, with higher numbers or
// lower ones.
func (ap *applier) applyCopied(m *Mailbox, e *record.Entry) (known bool, err error) {
	var row rows.Entry
	known, err = get(ap.s.db, rows.EntryKey(ap.keyBuf[:0], m.a.id, m.id, e.UID), func(v []byte) error { return rows.ParseEntry(v, &row) })
	if !known || err != nil || row.ModSeq >= e.ModSeq {
		return known, err
	}
	return true, ap.change(m, e.UID, &row, e.Flags, e.More, e.ModSeq)
}

// setEntry writes a message's row.
func (ap *applier) setEntry(m *Mailbox, uid uint32, row *rows.Entry) error {
	ap.keyBuf = rows.EntryKey(ap.keyBuf[:0], m.a.id, m.id, uid)
	ap.valBuf = rows.AppendEntry(ap.valBuf[:0], row)
	return ap.batch.Set(ap.keyBuf, ap.valBuf, nil)
}

// count adds a message to the counters, or takes it off.
func (m *Mailbox) count(row *rows.Entry, sign int64) {
	c := &m.counts
	c.Messages += sign
	c.Bytes += sign * int64(row.Size)
	if Flags(row.Flags)&FlagSeen == 0 {
		c.Unseen += sign
	}
	if Flags(row.Flags)&FlagDeleted != 0 {
		c.Deleted += sign
	}
	m.a.row.UsedBytes += sign * int64(row.Size)
	m.a.row.UsedMessages += sign
}

// event notes what views have to learn.
func (m *Mailbox) event(kind ChangeKind, uid uint32, row *rows.Entry) {
	m.events = append(m.events, event{kind, Entry{uid, Flags(row.Flags), row.ModSeq}, row.More})
}

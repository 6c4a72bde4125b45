package mailbox

import (
	"math"

	"postrider/delivery/mailbox/internal/record"
)

// assignLocked checks all targets, reserves their room, gives them their numbers
// and writes the record's head. The caller holds the accounts' locks.
func (f *filing) assignLocked() error {
	filed := false
	var first error
	for _, d := range f.ds {
		for i := range d.Targets {
			t := &d.Targets[i]
			if t.Repeat {
				filed = true
				continue
			}
			if t.Err = f.admitLocked(d, t); t.Err == nil {
				filed = true
				continue
			}
			if first == nil {
				first = t.Err
			}
			if d.AllOrNothing || len(f.ds) > 1 {
				return first
			}
		}
	}
	if !filed {
		return first
	}
	if d := f.ds[0]; d.From != nil && len(d.Expunge) > 0 {
		if err := f.expungeLocked(d); err != nil {
			return err
		}
	}
	for i, d := range f.ds {
		f.headLocked(d, &f.texts[i])
	}
	return nil
}

// admitLocked checks a target and reserves its room.
func (f *filing) admitLocked(d *Delivery, t *Target) error {
	m := t.Mailbox
	if m == nil || m.gone || m.a.deleted {
		return ErrNoMailbox
	}
	if len(t.Prefix) > math.MaxUint16 {
		return ErrTooLarge
	}
	if m.uidNext == 0 || t.UID != 0 && (t.UID < m.uidNext || t.UID == math.MaxUint32) {
		return ErrUID
	}
	r := reservation{int64(len(t.Prefix)) + d.Text.Size(), 1}
	need := r
	if from := f.ds[0].From; from != nil && from.a == m.a {
		need.bytes, need.messages = need.bytes-f.freed.bytes, need.messages-f.freed.messages
	}
	if err := m.a.fitsLocked(need); err != nil {
		return err
	}
	f.o.reserveLocked(m.a, r)
	return nil
}

// headLocked appends the parts of one delivery.
func (f *filing) headLocked(d *Delivery, t *text) {
	o := f.o
	received := f.now
	if !d.Received.IsZero() {
		received = d.Received.Unix()
	}
	o.head = record.AppendBlob(o.head, &t.blob)
	for i := range d.Targets {
		g := &d.Targets[i]
		if g.Repeat || g.Err != nil {
			continue
		}
		m := g.Mailbox
		g.UID = max(g.UID, m.uidNext)
		m.uidNext = g.UID + 1
		m.modSeq++
		g.ModSeq = m.modSeq
		e := record.Entry{
			Box: m.box(), UID: g.UID, Flags: uint32(g.Flags & SystemFlags), ModSeq: g.ModSeq, Blob: t.blob.ID,
			Size: t.blob.Size + int64(len(g.Prefix)), Received: received, Saved: f.now, Prefix: g.Prefix,
		}
		if i > 0 && len(g.Prefix) > 0 {
			e.Variant = uint16(min(i, math.MaxUint16))
		}
		if g.UIDL != "" {
			e.UIDL = []byte(g.UIDL)
		}
		if len(g.Keywords) > 0 {
			var flags uint32
			o.head, flags, e.More = m.someKeywordsLocked(o.head, g.Keywords)
			e.Flags |= flags
		}
		o.head = record.AppendEntry(o.head, &e)
		if !d.Key.IsZero() {
			o.head = record.AppendKey(o.head, &record.Key{Box: e.Box, ID: d.Key, Recipient: uint32(g.Recipient), UID: g.UID})
		}
	}
}

// someKeywordsLocked is keywordBitsLocked for those that there is room for.
func (m *Mailbox) someKeywordsLocked(head []byte, names []string) (_ []byte, flags uint32, more uint64) {
	for _, name := range names {
		var f uint32
		var w uint64
		var err error
		if head, f, w, err = m.keywordBitsLocked(head, []string{name}, true); err == nil {
			flags, more = flags|f, more|w
		}
	}
	return head, flags, more
}

// expungeLocked writes the part for the messages that d replaces.
func (f *filing) expungeLocked(d *Delivery) error {
	m := d.From
	if m.gone || m.a.deleted {
		return ErrNoMailbox
	}
	m.modSeq++
	o := f.o
	o.runs.BeginExpunge(o.head, m.box(), m.modSeq)
	for _, r := range normal(d.Expunge, m.uidNext-1) {
		o.runs.Add(record.Run{From: r.From, To: r.To})
	}
	o.head = o.runs.End()
	return nil
}

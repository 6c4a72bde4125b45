package record

import "postrider/internal/mail"

// Change is one recipient's new state. The higher version wins and a terminal
// state absorbs; both rules belong to the queue, which also gives State and Flags
// their meaning.
type Change struct {
	Recipient    uint32 // index in the envelope
	Version      uint32 // counts the changes of this recipient
	State        uint8
	Flags        uint8
	Attempts     uint16
	DueUnixMilli int64
	Code         uint16 // of the last reply; 0 when there was none
	Enhanced     mail.Enhanced
	Text         []byte // of the last reply
}

// Settle is the payload of a SETTLE record: what became of some recipients of one
// message. When Embedded is not empty it is the payload of a MSG (a bounce) that
// comes into being with it, in the same record and so at the same instant.
type Settle struct {
	ID      mail.ID
	Changes []Change
	// Embedded is, on parsing, the whole embedded MSG payload. On encoding it is
	// the embedded head, and the text must follow the encoded bytes directly
	// (as the Body of the spool's Write), or head and text together.
	Embedded []byte
}

// Action is the payload of an ACTION record: an operator's change of some
// recipients of one message.
type Action struct {
	ID      mail.ID
	Changes []ActionChange
	Reason  []byte // what the operator gave, for the log
}

// ActionChange is a Change that holds only if the recipient still has the
// expected version.
type ActionChange struct {
	Change
	Expected uint32
}

// FlagWarned in Change.Flags says that the sender was told of a delay.
const FlagWarned = 1

const flagEmbedded = 1

// AppendSettle appends the payload of a SETTLE record.
func AppendSettle(dst []byte, s *Settle) []byte {
	var flags byte
	if len(s.Embedded) > 0 {
		flags = flagEmbedded
	}
	dst = append(dst, Version, flags)
	dst = append(dst, s.ID[:]...)
	dst = appendUvarint(dst, uint64(len(s.Changes)))
	for i := range s.Changes {
		dst = appendChange(dst, &s.Changes[i])
	}
	return append(dst, s.Embedded...)
}

// ParseSettle reads the payload of a SETTLE record into s, whose memory for
// changes is used again.
func ParseSettle(payload []byte, s *Settle) error {
	*s = Settle{Changes: s.Changes[:0]}
	c := cursor{p: payload}
	if err := c.version(); err != nil {
		return err
	}
	flags := c.byte()
	copy(s.ID[:], c.take(16))
	n := c.uvarint()
	if flags&^flagEmbedded != 0 || n > uint64(len(c.p)/minChange) {
		return ErrMalformed
	}
	for range n {
		s.Changes = append(s.Changes, Change{})
		c.change(&s.Changes[len(s.Changes)-1])
	}
	if flags&flagEmbedded != 0 {
		if s.Embedded, c.p = c.p, nil; len(s.Embedded) == 0 {
			return ErrMalformed
		}
	}
	return c.end()
}

// AppendAction appends the payload of an ACTION record.
func AppendAction(dst []byte, a *Action) []byte {
	dst = append(dst, Version, 0)
	dst = append(dst, a.ID[:]...)
	dst = appendUvarint(dst, uint64(len(a.Changes)))
	for i := range a.Changes {
		dst = appendUvarint(dst, uint64(a.Changes[i].Expected))
		dst = appendChange(dst, &a.Changes[i].Change)
	}
	return appendBytes(dst, a.Reason)
}

// ParseAction reads the payload of an ACTION record into a, whose memory for
// changes is used again.
func ParseAction(payload []byte, a *Action) error {
	*a = Action{Changes: a.Changes[:0]}
	c := cursor{p: payload}
	if err := c.version(); err != nil {
		return err
	}
	flags := c.byte()
	copy(a.ID[:], c.take(16))
	n := c.uvarint()
	if flags != 0 || n > uint64(len(c.p)/(minChange+1)) {
		return ErrMalformed
	}
	for range n {
		a.Changes = append(a.Changes, ActionChange{})
		ch := &a.Changes[len(a.Changes)-1]
		ch.Expected = c.uvarint32()
		c.change(&ch.Change)
	}
	a.Reason = c.bytes()
	return c.end()
}

// minChange is the least number of bytes that a change takes.
const minChange = 10

func appendChange(dst []byte, ch *Change) []byte {
	dst = append(dst, ch.State, ch.Flags)
	dst = appendUvarint(dst, uint64(ch.Recipient))
	dst = appendUvarint(dst, uint64(ch.Version))
	dst = appendUvarint(dst, uint64(ch.Attempts))
	dst = appendVarint(dst, ch.DueUnixMilli)
	dst = appendUvarint(dst, uint64(ch.Code))
	dst = append(dst, ch.Enhanced.Class)
	if ch.Enhanced.Class != 0 {
		dst = appendUvarint(dst, uint64(ch.Enhanced.Subject))
		dst = appendUvarint(dst, uint64(ch.Enhanced.Detail))
	}
	// One byte of flags for what later versions may add behind the text.
	dst = append(dst, 0)
	return appendBytes(dst, ch.Text)
}

func (c *cursor) change(ch *Change) {
	ch.State, ch.Flags = c.byte(), c.byte()
	ch.Recipient = c.uvarint32()
	ch.Version = c.uvarint32()
	ch.Attempts = c.uvarint16()
	ch.DueUnixMilli = c.varint()
	ch.Code = c.uvarint16()
	if ch.Enhanced.Class = c.byte(); ch.Enhanced.Class != 0 {
		ch.Enhanced.Subject = c.uvarint16()
		ch.Enhanced.Detail = c.uvarint16()
	}
	if c.byte() != 0 {
		c.fail()
	}
	ch.Text = c.bytes()
}

package record

import (
	"net/netip"

	"postrider/internal/mail"
)

// BodyRef says where the text of a message is and how to check it.
type BodyRef struct {
	Size  int64  // bytes of text
	CRC   uint32 // Sum of the text
	Large []byte // name of the file that holds the text; empty: it follows the head
}

// Message is a parsed MSG payload. Its slices alias the payload.
type Message struct {
	Envelope mail.Envelope
	Body     BodyRef
	HeadLen  int    // bytes before the inline text
	Text     []byte // the inline text; nil when Body.Large names a file
}

// Bits of the flags byte in a message head.
const (
	flagEightBit = 1 << iota
	flagSMTPUTF8
	flagLarge
	flagRequireTLS
	flagTLSWaived
	flagForeign
	flagsKnown = 1<<iota - 1
)

// AppendMessageHead appends the head of a MSG payload. When b.Large is empty the
// text, b.Size bytes of it, must follow the head directly. The zone of a
// link-local client address is not kept.
func AppendMessageHead(dst []byte, e *mail.Envelope, b BodyRef) []byte {
	flags := messageFlags(e, len(b.Large) > 0)
	dst = append(dst, Version, flags, byte(e.Return), clientLen(e.Client))
	dst = append(dst, e.ID[:]...)
	dst = appendVarint(dst, e.ArrivedMicro)
	dst = appendUvarint(dst, uint64(b.Size))
	dst = appendUint32(dst, b.CRC)
	if flags&flagLarge != 0 {
		dst = appendBytes(dst, b.Large)
	}
	dst = appendVarint(dst, e.SizeBytes)
	dst = appendBytes(dst, e.Sender)
	dst = appendBytes(dst, e.EnvelopeID)
	switch {
	case e.Client.Is4():
		a := e.Client.As4()
		dst = append(dst, a[:]...)
	case e.Client.Is6():
		a := e.Client.As16()
		dst = append(dst, a[:]...)
	}
	dst = appendBytes(dst, e.Helo)
	dst = appendUvarint(dst, e.Session)
	dst = appendBytes(dst, e.Listener)
	dst = appendBytes(dst, e.Protocol)
	dst = appendBytes(dst, e.TLS)
	dst = appendBytes(dst, e.User)
	dst = appendUvarint(dst, uint64(len(e.Recipients)))
	for i := range e.Recipients {
		r := &e.Recipients[i]
		notify := byte(r.Notify)
		if r.Forwarded {
			notify |= notifyForwarded
		}
		dst = append(dst, notify)
		dst = appendBytes(dst, r.Address)
		dst = appendBytes(dst, r.Original)
	}
	return dst
}

func messageFlags(e *mail.Envelope, large bool) (flags byte) {
	for _, f := range [...]struct {
		on  bool
		bit byte
	}{
		{e.EightBit, flagEightBit},
		{e.SMTPUTF8, flagSMTPUTF8},
		{large, flagLarge},
		{e.RequireTLS, flagRequireTLS},
		{e.TLSWaived, flagTLSWaived},
		{e.Foreign, flagForeign},
	} {
		if f.on {
			flags |= f.bit
		}
	}
	return flags
}

func clientLen(a netip.Addr) byte {
	switch {
	case a.Is4():
		return 4
	case a.Is6():
		return 16
	}
	return 0
}

// notifyForwarded is the bit of a recipient's notify byte that mail.Notify leaves
// free: mail.Recipient.Forwarded.
const notifyForwarded = 0x80

// minRecipient is the least number of bytes that a recipient takes: it bounds
// how many are made room for before they are seen.
const minRecipient = 3

// ParseMessage reads a MSG payload, head and inline text, into m, whose memory
// for recipients is used again. The text is not checked against Body.CRC.
func ParseMessage(payload []byte, m *Message) error {
	e := &m.Envelope
	e.Reset()
	*m = Message{Envelope: *e}
	c := cursor{p: payload}
	if err := c.version(); err != nil {
		return err
	}
	flags, ret, client := c.byte(), c.byte(), c.byte()
	if flags&^flagsKnown != 0 || ret > byte(mail.ReturnHeaders) {
		return ErrMalformed
	}
	e.EightBit, e.SMTPUTF8 = flags&flagEightBit != 0, flags&flagSMTPUTF8 != 0
	e.RequireTLS, e.TLSWaived, e.Foreign = flags&flagRequireTLS != 0, flags&flagTLSWaived != 0, flags&flagForeign != 0
	e.Return = mail.Return(ret)
	copy(e.ID[:], c.take(16))
	e.ArrivedMicro = c.varint()
	m.Body.Size = int64(c.uvarint())
	m.Body.CRC = c.uint32()
	if flags&flagLarge != 0 {
		if m.Body.Large = c.bytes(); len(m.Body.Large) == 0 {
			return ErrMalformed
		}
	}
	e.SizeBytes = c.varint()
	e.Sender = c.bytes()
	e.EnvelopeID = c.bytes()
	switch client {
	case 0:
	case 4:
		var a [4]byte
		copy(a[:], c.take(4))
		e.Client = netip.AddrFrom4(a)
	case 16:
		var a [16]byte
		copy(a[:], c.take(16))
		e.Client = netip.AddrFrom16(a)
	default:
		return ErrMalformed
	}
	e.Helo = c.bytes()
	e.Session = c.uvarint()
	e.Listener = c.bytes()
	e.Protocol = c.bytes()
	e.TLS = c.bytes()
	e.User = c.bytes()
	if err := c.recipients(e); err != nil {
		return err
	}
	m.HeadLen = len(payload) - len(c.p)
	if flags&flagLarge == 0 {
		m.Text, c.p = c.p, nil
		if int64(len(m.Text)) != m.Body.Size {
			return ErrMalformed
		}
	}
	if m.Body.Size < 0 || len(c.p) != 0 {
		return ErrMalformed
	}
	return nil
}

func (c *cursor) recipients(e *mail.Envelope) error {
	n := c.uvarint()
	if n > uint64(len(c.p)/minRecipient) {
		return ErrMalformed
	}
	for range n {
		notify := c.byte()
		address, original := c.bytes(), c.bytes()
		e.Recipients = append(e.Recipients, mail.Recipient{
			Address: address, Notify: mail.Notify(notify &^ notifyForwarded), Original: original, Forwarded: notify&notifyForwarded != 0,
		})
	}
	return c.err()
}

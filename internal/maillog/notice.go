package maillog

import (
	"go.uber.org/zap/zapcore"

	"postrider/internal/mail"
)

// Notice is a delivery status notification (RFC 3464) that was queued as a
// message of ours, or that was owed and not written.
type Notice struct {
	ID         mail.ID // of the notice itself; zero: it was withheld
	Of         *mail.Envelope
	Kind       string // "failure", "delay", "success", "relayed" or "expanded"
	Recipients int    // how many recipients of Of it tells of
	SizeBytes  int64  // of the notice
	Rule       string // why it was withheld, such as "backscatter"; else empty
}

// DSN writes that a notice was queued, or withheld. The notice has an accepted
// event of its own besides.
func (l *Log) DSN(n *Notice) {
	if l == nil {
		return
	}
	e := l.get()
	e.notice = *n
	l.put("dsn", e, (*event).marshalNotice)
}

func (e *event) marshalNotice(enc zapcore.ObjectEncoder) {
	n := &e.notice
	if !n.ID.IsZero() {
		enc.AddByteString("id", n.ID.AppendText(e.scratch[:0]))
	}
	if n.Of != nil {
		enc.AddByteString("of", n.Of.ID.AppendText(e.scratch[:0]))
		addBytes(enc, "to", n.Of.Sender)
		addBytes(enc, "to_dom", mail.DomainOf(n.Of.Sender))
	}
	enc.AddString("kind", n.Kind)
	enc.AddInt64("nrcpt", int64(n.Recipients))
	if n.SizeBytes > 0 {
		enc.AddInt64("size", n.SizeBytes)
	}
	addText(enc, "rule", n.Rule)
}

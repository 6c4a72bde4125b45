package resolve

import (
	"bytes"

	"postrider/internal/mail"
)

// statusLoop refuses a message that comes back (RFC 5321 section 6.3, RFC 3463's
// X.4.6).
var statusLoop = mail.NewStatus(554, 5, 4, 6, "the message has been forwarded by this address before")

// Trace finds mail that two systems forward to each other before the count of its
// hops does. A message that an alias sends on gets the alias' name in a
// Delivered-To field; one that comes for an alias and has its name there already
// is in a loop. Names are only written where a message has one recipient: to tell
// the others of a blind copy would be worse than some more rounds.
type Trace struct {
	names []byte // addresses, each with a newline behind it
	count int
}

// Reset readies t for another message.
func (t *Trace) Reset() { t.names, t.count = t.names[:0], 0 }

// Add notes an alias that the message is for, as it was named, in canonical form.
func (t *Trace) Add(address []byte) {
	t.names = append(append(t.names, address...), '\n')
	t.count++
}

// DeliveredTo judges the value of a Delivered-To field.
func (t *Trace) DeliveredTo(value []byte) mail.Status {
	value = bytes.TrimSuffix(bytes.TrimPrefix(value, []byte("<")), []byte(">"))
	for rest := t.names; len(rest) > 0 && len(value) > 0; {
		name, after, _ := bytes.Cut(rest, []byte{'\n'})
		if bytes.EqualFold(name, value) {
			return statusLoop
		}
		rest = after
	}
	return mail.Status{}
}

// AppendField appends the field for a message whose RCPT commands were named, of
// which there must be one for a field to be written.
func (t *Trace) AppendField(dst []byte, named int) []byte {
	if t.count != 1 || named != 1 {
		return dst
	}
	dst = append(dst, "Delivered-To: "...)
	dst = append(dst, t.names[:len(t.names)-1]...)
	return append(dst, '\r', '\n')
}

package bounce

import (
	"strconv"
	"time"

	"postrider/internal/mail"
)

// Bounds of the fields for programs.
const (
	maxReport     = 132 << 10 // bytes; the recipients that would pass it are not told of
	frugalReport  = 24 << 10  // behind it only what must be told is
	maxDiagnostic = 1000      // bytes of one reply's text
)

// report makes the part of RFC 3464, or of RFC 6533 section 4 when wide, and says
// of how many recipients it tells.
func (n *Notice) report(wide bool) (part, int) {
	p := part{kind: "message/delivery-status", encoding: "7bit", about: "Delivery report"}
	if wide {
		p.kind, p.encoding = "message/global-delivery-status", "8bit"
	}
	b := appendField(nil, "Reporting-MTA", []byte("dns; "+n.host()))
	if id, ok := appendXtextDecoded(nil, n.Envelope.EnvelopeID); ok { // RFC 3464 section 2.2.1
		b = appendField(b, "Original-Envelope-Id", id)
	}
	b = appendField(b, "Arrival-Date", appendDate(nil, n.arrived()))
	told := 0
	for i := range n.Recipients {
		one := n.appendRecipient(nil, &n.Recipients[i], wide, len(b) < frugalReport)
		if told > 0 && len(b)+len(one) > maxReport {
			break
		}
		b = append(append(b, '\r', '\n'), one...)
		told++
	}
	p.text = b
	return p, told
}

// appendRecipient appends the fields of RFC 3464 section 2.3.
func (n *Notice) appendRecipient(dst []byte, r *Recipient, wide, whole bool) []byte {
	to := &n.Envelope.Recipients[r.Index]
	if value, ok := appendOriginal(nil, to.Original, wide); ok {
		dst = appendField(dst, "Original-Recipient", value)
	}
	dst = appendField(dst, "Final-Recipient", appendAddress(nil, to.Address, wide))
	dst = appendField(dst, "Action", []byte(n.Kind.action()))
	dst = appendField(dst, "Status", n.status(r).AppendText(nil))
	if !whole {
		return dst
	}
	if r.Remote != "" && mail.ValidDomain([]byte(r.Remote)) && ascii([]byte(r.Remote)) {
		dst = appendField(dst, "Remote-MTA", []byte("dns; "+r.Remote))
	}
	if r.Status.Code != 0 && (n.Kind == Failure || n.Kind == Delay) {
		dst = appendField(dst, "Diagnostic-Code", appendDiagnostic(nil, r, wide))
	}
	if !r.LastAttempt.IsZero() {
		dst = appendField(dst, "Last-Attempt-Date", appendDate(nil, r.LastAttempt))
	}
	if n.Kind == Delay && !r.RetryUntil.IsZero() { // RFC 3464 section 2.3.9: of delayed ones only
		dst = appendField(dst, "Will-Retry-Until", appendDate(nil, r.RetryUntil))
	}
	return dst
}

// appendDiagnostic appends the reply as the peer gave it, or what we have to say
// under a type of our own (RFC 3464 section 2.3.6 keeps "smtp" for replies).
func appendDiagnostic(dst []byte, r *Recipient, wide bool) []byte {
	if r.Remote == "" {
		return appendClean(append(dst, "X-Postrider; "...), r.Status.Text, wide, maxDiagnostic)
	}
	dst = strconv.AppendUint(append(dst, "smtp; "...), uint64(r.Status.Code), 10)
	if e := r.Status.Enhanced; e.Class != 0 && e != (mail.Enhanced{Class: e.Class}) {
		dst = e.AppendText(append(dst, ' '))
	}
	return appendClean(append(dst, ' '), r.Status.Text, wide, maxDiagnostic)
}

// status is the enhanced code of the Status field. Its first digit is the one
// that the action has (RFC 3464 section 2.3.4): a reply of 4xx that will not be
// tried again, or one of 5xx that will, keeps its other digits only.
func (n *Notice) status(r *Recipient) mail.Enhanced {
	e := r.Status.Enhanced
	switch n.Kind {
	case Failure:
		e.Class = 5
	case Delay:
		e.Class = 4
	case Success, Relayed, Expanded:
		if e.Class != 2 {
			e = mail.Enhanced{}
		}
		e.Class = 2
	}
	return e
}

// arrived is when the message came, in the clock's zone.
func (n *Notice) arrived() time.Time {
	return time.UnixMicro(n.Envelope.ArrivedMicro).In(n.Now.Location())
}

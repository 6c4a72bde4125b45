package relay

import (
	"bytes"

	"postrider/internal/mail"
)

// Recipients of several domains share a transaction only where the provider's rule
// allows it. A server that refuses that all the same says so in its own words; from
// then on the lane asks it for one domain at a time, and those it has put off are
// sent again at once.

// refusesMix reports that a transaction for recipients of several domains got a reply
// that objects to just that.
func (f *flight) refusesMix(st mail.Status) bool {
	if st.IsZero() || st.OK() || !f.mixed() {
		return false
	}
	text := bytes.ToLower(st.Text)
	if !bytes.Contains(text, []byte("domain")) {
		return false
	}
	for _, word := range [...]string{"multiple", "several", "more than one", "one domain", "single domain", "different domain", "same domain"} {
		if bytes.Contains(text, []byte(word)) {
			return true
		}
	}
	return false
}

// mixed reports recipients of more than one domain.
func (f *flight) mixed() bool {
	d := &f.delivery
	if len(d.Recipients) < 2 {
		return false
	}
	first := mail.DomainOf(d.Envelope.Recipients[d.Recipients[0]].Address)
	for _, i := range d.Recipients[1:] {
		if !bytes.Equal(mail.DomainOf(d.Envelope.Recipients[i].Address), first) {
			return true
		}
	}
	return false
}

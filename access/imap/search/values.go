package search

import "postrider/delivery/mailbox"

// longestSubject is how much of a subject is looked at.
const longestSubject = 1 << 10

// values makes what SORT and THREAD compare. Its memory is used again.
type values struct {
	words   headerText
	address address
	scratch []byte
	folded  []byte
}

// number returns the value of a key that is a number.
func (v *values) number(by By, m *mailbox.Meta, it *mailbox.Items) int64 {
	switch by {
	case BySize:
		return m.SizeBytes
	case ByDate:
		return v.sent(m, it)
	}
	return m.Received.Unix()
}

// sent returns the sent date (RFC 5256 section 2.2): INTERNALDATE where there is none.
func (v *values) sent(m *mailbox.Meta, it *mailbox.Items) int64 {
	value, _ := nextNamed(it.Header, []byte("date"))
	if d, ok := parseDate(value); ok {
		return d.seconds
	}
	return m.Received.Unix()
}

// text returns the value of a key that is a string, in the form in which it is
// compared: decomposed and in capitals, which RFC 5256 (section 3) and its collations
// put before "_". It is valid until the next call.
func (v *values) text(by By, it *mailbox.Items) []byte {
	var text []byte
	switch by {
	case ByCC:
		text = v.mailboxOf(it, envelopeCC)
	case ByFrom:
		text = v.mailboxOf(it, envelopeFrom)
	case ByTo:
		text = v.mailboxOf(it, envelopeTo)
	case ByDisplayFrom:
		text = v.display(it, envelopeFrom)
	case ByDisplayTo:
		text = v.display(it, envelopeTo)
	default:
		text, _ = v.subject(it)
	}
	v.folded = appendFold(v.folded[:0], text)
	for i, c := range v.folded {
		if c-'a' < 26 {
			v.folded[i] = c &^ 0x20
		}
	}
	return v.folded
}

// mailboxOf returns the mailbox of the first address.
func (v *values) mailboxOf(it *mailbox.Items, place int) []byte {
	v.address.read(it.Envelope, place)
	return v.address.box
}

// display returns what a reader sees of the first address (RFC 5957 section 3): its
// name, the group's, or the address.
func (v *values) display(it *mailbox.Items, place int) []byte {
	a := &v.address
	a.read(it.Envelope, place)
	switch name := trimSpace(a.name); {
	case len(name) > 0:
		return v.words.text(name)
	case len(a.host) == 0:
		return v.words.text(a.box)
	}
	v.scratch = append(append(append(v.scratch[:0], a.box...), '@'), a.host...)
	return v.scratch
}

// subject returns the base subject, and whether it is that of a reply or a forward.
func (v *values) subject(it *mailbox.Items) (base []byte, reply bool) {
	value, _ := nextNamed(it.Header, []byte("subject"))
	text := v.words.text(value[:min(len(value), longestSubject)])
	v.scratch = append(v.scratch[:0], text...)
	return baseSubject(v.scratch)
}

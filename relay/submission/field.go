package submission

import (
	"bytes"

	"postrider/internal/mail"
)

// kind is what the start of a line is.
type kind uint8

const (
	unknown   kind = iota // more of it must be seen
	newField              // a field's name and its colon
	continued             // a folded line of the field before
	end                   // the empty line
	noField               // something else: the header has ended without one
)

// look looks at the start of a line; name is that of a new field.
func look(line []byte, folds bool) (k kind, name []byte) {
	switch c := line[0]; {
	case (c == ' ' || c == '\t') && folds:
		return continued, nil
	case c == '\r' && len(line) == 1:
		return unknown, nil
	case c == '\r' && line[1] == '\n', c == '\n':
		return end, nil
	}
	n := 0
	for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
		n++
	}
	colon := n
	for colon < len(line) && (line[colon] == ' ' || line[colon] == '\t') { // RFC 5322 section 4.5
		colon++
	}
	switch {
	case n == 0 || colon > maxName:
		return noField, nil
	case colon == len(line):
		return unknown, nil
	case line[colon] != ':':
		return noField, nil
	}
	return newField, line[:n]
}

// begin enters a line of that kind. A field that has ended by it is judged.
func (h *Header) begin(k kind, name []byte) mail.Status {
	if k == continued {
		h.state = inLine
		return mail.Status{}
	}
	if s := h.judge(); !s.IsZero() {
		return s
	}
	if k != newField {
		h.state = inBody
		return mail.Status{}
	}
	f := which(name)
	h.seen[f] = true
	h.state, h.folds = inLine, true
	h.gather, h.value = h.m.Owns != nil && (f == from || f == origin), h.value[:0]
	return mail.Status{}
}

func which(name []byte) field {
	for _, known := range [...]struct {
		name string
		f    field
	}{
		{"date", date}, {"message-id", messageID}, {"from", from},
		{"sender", origin}, {"resent-from", origin}, {"resent-sender", origin},
	} {
		if len(name) == len(known.name) && bytes.EqualFold(name, []byte(known.name)) {
			return known.f
		}
	}
	return other
}

// keep gathers a piece of a line.
func (h *Header) keep(p []byte) mail.Status {
	if !h.gather {
		return mail.Status{}
	}
	if len(h.value)+len(p) > maxValue {
		return statusUnclear
	}
	h.value = append(h.value, p...)
	return mail.Status{}
}

// judge looks at the originator field that has ended, if one has.
func (h *Header) judge() mail.Status {
	if !h.gather {
		return mail.Status{}
	}
	h.gather = false
	foreign := false
	_, value, _ := bytes.Cut(h.value, []byte(":"))
	readable := addresses(value, func(address []byte) bool {
		foreign = !h.m.Owns(address)
		return !foreign
	})
	switch {
	case foreign:
		return statusOrigin
	case !readable:
		return statusUnclear
	}
	return mail.Status{}
}

// missing returns the fields that the header lacks, and the empty line that ends it
// where the client wrote none.
func (h *Header) missing(closing bool) []byte {
	var b []byte
	if h.m.Mend {
		if !h.seen[date] {
			b = h.m.Time.AppendFormat(append(b, "Date: "...), "Mon, 02 Jan 2006 15:04:05 -0700")
			b = append(b, "\r\n"...)
		}
		if !h.seen[from] && len(h.m.From) > 0 {
			b = append(append(append(b, "From: "...), h.m.From...), "\r\n"...)
		}
		if !h.seen[messageID] {
			b = h.m.ID.AppendText(append(b, "Message-ID: <"...))
			b = append(append(append(b, '@'), h.m.Hostname...), ">\r\n"...)
		}
	}
	if closing && (h.m.Mend || h.m.Owns != nil) {
		b = append(b, "\r\n"...)
	}
	return b
}

package relay

import (
	"bytes"

	"postrider/internal/mail"
)

// A reply that the queue keeps says who gave it and what it means: the host's name
// and the word of the class stand behind the text, each after a unit separator, which
// no reply can hold since control bytes are taken out of them.
const keptSeparator = 0x1f

// kept is a reply as it was given, who gave it, "" when nobody but us, and its class.
type kept struct {
	status mail.Status
	host   string
	class  mail.Class
}

// keep returns a status as the queue keeps it.
func (k kept) keep() mail.Status {
	word := k.class.String()
	if k.host == "" && word == "" {
		return k.status
	}
	s := k.status
	text := make([]byte, 0, len(s.Text)+2+len(k.host)+len(word))
	text = append(text, s.Text...)
	text = append(text, keptSeparator)
	text = append(text, k.host...)
	text = append(text, keptSeparator)
	s.Text = append(text, word...)
	return s
}

// parseKept is the reverse of keep; of a status that was kept without them the host is
// "" and the class ClassNone.
func parseKept(s mail.Status) kept {
	text, rest, found := bytes.Cut(s.Text, []byte{keptSeparator})
	if !found {
		return kept{status: s}
	}
	host, word, _ := bytes.Cut(rest, []byte{keptSeparator})
	class, _ := mail.ParseClass(string(word))
	s.Text = text
	return kept{status: s, host: string(host), class: class}
}

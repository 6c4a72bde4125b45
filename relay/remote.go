package relay

import (
	"bytes"

	"postrider/internal/mail"
)

// A reply that the queue keeps says who gave it: the host's name stands behind
// the text, after a unit separator, which no reply can hold since control bytes
// are taken out of them.
const remoteSeparator = 0x1f

// withRemote returns a status as the queue keeps it.
func withRemote(s mail.Status, host string) mail.Status {
	if host == "" {
		return s
	}
	text := make([]byte, 0, len(s.Text)+1+len(host))
	text = append(text, s.Text...)
	text = append(text, remoteSeparator)
	s.Text = append(text, host...)
	return s
}

// splitRemote returns a status of the queue as it was given, and who gave it; ""
// when nobody but us.
func splitRemote(s mail.Status) (mail.Status, string) {
	text, host, found := bytes.Cut(s.Text, []byte{remoteSeparator})
	if !found {
		return s, ""
	}
	s.Text = text
	return s, string(host)
}

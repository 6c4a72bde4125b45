package bench

import (
	"strings"

	"postrider/bench/target"
)

// speaks returns what t can be loaded with, and "mx" when it can deliver by MX
// records. Of a server that somebody else has started, its owner says what it has.
func speaks(t target.Target) []string {
	if s, ok := t.(interface{ Speaks() []string }); ok {
		return append(s.Speaks(), "mx")
	}
	kind, _, _ := strings.Cut(t.Name(), ":")
	switch kind {
	case "dovecot":
		return []string{"lmtp", "pop3", "imap"}
	case "direct":
		return []string{"smtp", "direct"}
	case "postfix", "exim", "opensmtpd":
		return []string{"smtp", "mx"}
	}
	return []string{"smtp"}
}

package bench

import (
	"strings"

	"postrider/bench/target"
)

// speaks returns what t can be loaded with; "mx" when it can deliver by MX
// records, "auth" and "tls" when clients can log in and secure the connection. Of a server that somebody else has started, its owner says what it has.
func speaks(t target.Target) []string {
	if s, ok := t.(interface{ Speaks() []string }); ok {
		return append(s.Speaks(), "mx", "auth", "tls")
	}
	kind, _, _ := strings.Cut(t.Name(), ":")
	switch kind {
	case "dovecot":
		return []string{"lmtp", "pop3", "imap", "auth", "tls"}
	case "direct":
		return []string{"smtp", "direct"}
	case "postrider":
		return []string{"smtp", "lmtp", "pop3", "imap", "mx", "auth", "tls"}
	case "postfix", "exim", "opensmtpd":
		return []string{"smtp", "mx", "tls"}
	case "gosmtp":
		return []string{"smtp", "auth"}
	}
	return []string{"smtp", "tls"}
}

package bench

import "strings"

// speaks returns what a target can be loaded with, and "mx" when it can deliver by
// MX records.
func speaks(name string) []string {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "dovecot":
		return []string{"lmtp", "pop3", "imap"}
	case "postfix", "exim", "opensmtpd":
		return []string{"smtp", "mx"}
	case "external":
		var all []string
		for part := range strings.SplitSeq(rest, ",") {
			if key, _, ok := strings.Cut(part, "="); ok {
				all = append(all, key)
			}
		}
		return append(all, "mx")
	}
	return []string{"smtp"}
}

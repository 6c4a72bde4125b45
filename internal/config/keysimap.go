package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

func imapSection() section {
	return single("imap", "Reading mail by IMAP.",
		func(c *Config) *IMAP { return &c.IMAP },
		field[IMAP]{"idle_timeout", "duration", `"30m"`, "30m to 7d", "Time that a client which has logged in may be silent, in IDLE too (RFC 9051 section 5.4 asks for 30 minutes at least).",
			duration(func(i *IMAP) *time.Duration { return &i.IdleTimeout }, 30*minute, 7*day)},
		field[IMAP]{"sessions_per_user", "integer", "30", "1 to 100000", "Sessions that a user may have at once from one IPv4 address or IPv6 /64. Mail programs open several each.",
			number(func(i *IMAP) *int { return &i.SessionsPerUser }, 1, 100_000)},
		field[IMAP]{"append_limit", "size", "0", "0 to 2GiB", "Largest message that a client may add, announced as APPENDLIMIT; 0: as `relay.max_message_size`.",
			size(func(i *IMAP) *int64 { return &i.AppendLimit }, 0, 2*gib)},
		field[IMAP]{"compress", "boolean", "true", "", "Offer COMPRESS=DEFLATE (RFC 4978).",
			boolean(func(i *IMAP) *bool { return &i.Compress })},
		field[IMAP]{"special_folders", "boolean", "true", "", "Make the folders Drafts, Sent, Junk, Trash and Archive, each with its special use (RFC 6154), when a user logs in for the first time.",
			boolean(func(i *IMAP) *bool { return &i.SpecialFolders })},
		field[IMAP]{"disabled", "table", "{}", `ADDRESS = ["CAPABILITY", ...]`, "Capabilities that an account is not offered, for mail programs that misuse them; those of `\"*\"` are offered to nobody.",
			capabilities(func(i *IMAP) *map[string][]string { return &i.Disabled })},
	)
}

// capabilities is a table of accounts, each with a list of words.
func capabilities[T any](of func(*T) *map[string][]string) func(*decoder, *T, *node) {
	words := list(func(l *[]string) *[]string { return l }, parseCapability)
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.Table, `write it as { "user@example.org" = ["QRESYNC"] }`) {
			return
		}
		out := make(map[string][]string, len(n.names))
		for _, name := range n.names {
			account := strings.ToLower(name)
			if _, err := parseMailbox(account); account == "" || err != nil && account != "*" {
				d.r.add(n.members[name].key, fmt.Sprintf("%q is not an address", name), `write the whole address, in quotation marks, or "*" for all`)
				continue
			}
			var l []string
			words(d, &l, n.members[name])
			out[account] = append(out[account], l...)
		}
		*of(t) = out
	}
}

// parseCapability reads the name of one, an atom (RFC 9051 section 9), and returns
// it in upper case.
func parseCapability(s string) (string, error) {
	upper := strings.ToUpper(s)
	for _, c := range []byte(upper) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return "", fmt.Errorf("%q is not the name of a capability", s)
		}
	}
	if upper == "" || upper == "IMAP4REV1" {
		return "", fmt.Errorf("%q is not a capability that can be left out", s)
	}
	return upper, nil
}

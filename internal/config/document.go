package config

import (
	"fmt"
	"strings"
)

const documentHead = `# Configuration

One TOML file, ` + "`version = 1`" + `. It is looked for as ` + "`-c FILE`" + `, else ` + "`postrider.toml`" + ` in the current folder, else
` + "`/etc/postrider/postrider.toml`" + `; without any of them the defaults below are used: a relay for this machine on
127.0.0.1:2525 with its data in ` + "`./postrider-data`" + `.

` + "`postrider check`" + ` tells everything that is wrong with a file, each with its place. SIGHUP reads it again: routes,
networks, domains, limits and certificates take effect together or, when anything is wrong, not at all. What only a
start can change (listeners, data_dir, hostname, [queue], [admin], [log]) is named in a warning then. Replace the file
whole, by renaming a new one to its name: of one that is written in place a reload may read half.

Durations are numbers with ` + "`ms s m h d w`" + ` (` + "`\"5m\"`, `\"1h30m\"`" + `). Sizes are numbers, alone or with ` + "`KB MB GB TB`" + `
(powers of 1000) or ` + "`KiB MiB GiB TiB`" + ` (of 1024). Paths are relative to the folder of the file, unless it says
otherwise.

This page is written from the table that the parser uses.
`

const documentTail = `
## Open relays

A configuration that would relay for strangers is refused. ` + "`relay.networks`" + ` may hold any private, shared or loopback
network, and of the public address space at most as much as the largest holders ever got: in all one IPv4 /8 and one
IPv6 /16. ` + "`0.0.0.0/0`" + `, its two halves, or any other set that adds up to more is an error. ` + "`relay.domains`" + ` takes whole
domains only, no pattern. A network whose host bits are set (` + "`10.1.2.3/8`" + `) is an error too: it is not guessed whether
one address or the whole network was meant.

` + "`%`, `!`" + ` and source routes inside of addresses are never followed, address literals are foreign domains, and the
client is the peer of the connection, whatever its headers and commands say.

## Where mail leaves from, and whither

` + "```toml" + `
[[source]]                      # two addresses that share the mail, one to three
name = "a"
address = "192.0.2.1"
hello = "out-a.example.net"
[[source]]
name = "b"
address = "192.0.2.2"
hello = "out-b.example.net"
weight = 3

[[route]]                       # what one customer sends leaves from an address of its own
user = "@shop.example"
next_hop = "mx"
pool = "b"

[[route]]                       # a domain whose servers are often down
domain = "slow.example"
next_hop = "mx"
fallback = "smtp:graveyard.example.net:25"
fallback_after = 10

[[tls_policy]]
domain = "bank.example"
level = "verify"
` + "```" + `

A route without a ` + "`domain`" + ` is for all domains, local ones included. A message keeps the first eight conditions
on ` + "`sender`, `user` and `client`" + ` that it meets.

## The file of aliases

` + "```" + `
# key: targets; a line that begins with a space goes on with the one before
info@example.com:       alice, bob@example.net
alice@example.com:      alice, alice@elsewhere.example
"front desk"@example.com: info
@old.example:           @example.com
@example.org:           carol@example.com
abuse:                  alice@example.com
` + "```" + `

A key is an address of a domain in ` + "`local.domains` or `relay.domains`" + `, ` + "`@domain`" + ` for all of its addresses that have no
key of their own, or a local part alone for all of ` + "`local.domains`" + `. Case does not matter in keys. Targets are
addresses; one without a domain is of the domain that the mail is for, and ` + "`@domain`" + ` keeps the local part. Files,
commands and includes are refused.

` + "`user+tag`" + ` is looked up as it is and then as ` + "`user`" + `; the tag goes on to targets that have none. A target that is a
key is expanded again, ten levels deep and up to a thousand targets; above that the recipient is refused with 451. One
that is the address itself keeps a copy. A longer circle is cut where it closes; when nothing is left the recipient is
refused with 554 5.4.6. Where a domain in ` + "`local.domains`" + ` has keys and no mailboxes, other addresses of it are refused
with 550 5.1.1, but for postmaster.

The file is read again some seconds after it has changed, and at a reload. Replace it whole, by renaming. When something
in it is wrong the old state stays, and the diagnostics say the lines.

## Users

` + "```toml" + `
[[listener]]                    # mail programs send here; both ask for a login, whoever comes
address = ":587"
service = "submission"
tls = "required"
[[listener]]
address = ":465"
service = "submissions"
[[listener]]                    # and read it here
address = ":993"
service = "imaps"
[[listener]]                    # or fetch it
address = ":995"
service = "pop3s"
[imap.disabled]                 # one whose mail program misuses an extension does without it
"alice@example.org" = ["QRESYNC", "NOTIFY"]
[local]
domains = ["example.org"]
` + "```" + `

` + "`postrider user add alice@example.org`" + ` makes a user, who may log in as that or, in the first of the local domains, as
` + "`alice`" + `. PLAIN and LOGIN are offered by TLS only, unless ` + "`users.clear_text`" + ` says otherwise for a listener whose ` + "`tls`" + `
is off; SCRAM shows no password and is offered in clear too. Five failed logins end a session, and above the limits of
` + "`[limits] login_failures_*`" + ` logins are refused unheard for a while, over all protocols together.
`

// Document returns the reference of every key, in Markdown.
func Document() string {
	var b strings.Builder
	b.WriteString(documentHead)
	for _, s := range tables() {
		switch {
		case s.name == "":
			b.WriteString("\n## At the top\n")
		case s.repeated:
			fmt.Fprintf(&b, "\n## [[%s]]\n\n%s\n", s.name, s.doc)
		default:
			fmt.Fprintf(&b, "\n## [%s]\n\n%s\n", s.name, s.doc)
		}
		b.WriteString("\n| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n")
		for _, f := range s.fields {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.name, f.kind, code(f.byDflt), f.allowed, f.doc)
		}
	}
	b.WriteString(documentTail)
	return b.String()
}

// code marks a default that is a value; one in words stays as it is.
func code(s string) string {
	switch {
	case s == "":
		return "must be given"
	case strings.HasPrefix(s, "the "):
		return s
	}
	return "`" + s + "`"
}

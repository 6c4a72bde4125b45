// Package arch holds the import table of the project: which package may import
// which of ours, and where the heavy dependencies may be used. A test compares
// it with the source and fails on an import that is not in it.
//
// The table is the architecture. A new line in it is a decision: an import
// always leads to a package of a lower level, a tree does not know its
// neighbours (relay and delivery, delivery and queue, access and both), engines
// never see the configuration, and only internal/app joins parts.
package arch

import (
	"path"
	"strings"
)

// Module is the path of ours.
const Module = "postrider"

// allowed returns what each package may import of ours, by paths below Module
// that are separated by spaces. "x/*" stands for x and everything below it; as a
// key it is for what has no line of its own.
func allowed() map[string]string {
	return map[string]string{
		// Level 0: words and small machines, importing nothing of ours.
		"internal/mail":       "",
		"internal/metrics":    "",
		"internal/limit":      "",
		"internal/certs":      "",
		"internal/backup":     "",
		"internal/invariants": "",
		"internal/inflate":    "",

		"internal/auth/password": "", // stored forms

		// Level 1
		"internal/bufpool":       "internal/invariants",
		"internal/spool":         "internal/spool/frame internal/mail",
		"internal/spool/frame":   "internal/mail",
		"internal/maillog":       "internal/mail",
		"internal/message":       "internal/mail",
		"internal/dns":           "internal/limit internal/metrics",
		"internal/dns/dnstest":   "internal/dns",
		"internal/auth":          "internal/auth/password internal/mail internal/limit internal/metrics",
		"internal/auth/guard":    "internal/auth",
		"internal/auth/userfile": "internal/auth internal/auth/password",
		"internal/auth/sqldb":    "internal/auth internal/auth/guard internal/auth/password",
		"internal/auth/ldapdb":   "internal/auth internal/auth/guard",
		"internal/auth/oauth":    "internal/auth internal/auth/guard",

		"internal/autoconfig": "internal/dns internal/limit",

		"internal/dnscheck": "internal/dns",

		// Level 2
		"internal/wire":               "internal/bufpool internal/inflate internal/limit internal/metrics",
		"internal/config":             "internal/mail relay/classify", // which compiles the rules that a file holds
		"queue":                       "queue/internal/* internal/spool internal/spool/frame internal/mail internal/bufpool internal/metrics internal/invariants",
		"queue/internal/*":            "queue/internal/* internal/spool internal/spool/frame internal/mail internal/bufpool internal/metrics internal/invariants",
		"delivery/mailbox":            "delivery/mailbox/internal/* internal/spool internal/spool/frame internal/mail internal/message internal/bufpool internal/metrics internal/invariants",
		"delivery/mailbox/internal/*": "delivery/mailbox/internal/* internal/spool internal/spool/frame internal/mail internal/bufpool internal/metrics internal/invariants",
		"relay/policy":                "internal/mail internal/dns internal/limit",
		"relay/route":                 "internal/mail",
		"relay/submission":            "internal/mail",
		"relay/site":                  "internal/mail internal/dns",
		"relay/srs":                   "internal/mail",
		"relay/aliases":               "internal/mail",
		"relay/schedule":              "internal/mail internal/limit",
		"relay/classify":              "internal/mail",
		"relay/bounce":                "internal/mail internal/message",
		"relay/directory":             "relay/site internal/mail",
		"access/imapwire":             "internal/bufpool",

		// Level 3
		"relay/smtp": "internal/mail internal/wire internal/bufpool",
		"delivery":   "delivery/mailbox internal/mail internal/message internal/maillog internal/metrics",

		"delivery/transfer":   "delivery/mailbox internal/mail internal/message",
		"delivery/transfer/*": "delivery/transfer delivery/mailbox internal/mail internal/message",

		// Level 4
		"relay/smtpd":        "relay/smtp internal/mail internal/message internal/wire internal/auth internal/bufpool internal/limit",
		"relay/resolve":      "relay/aliases relay/policy relay/route relay/srs internal/mail",
		"relay/outbound":     "relay/smtp internal/mail internal/wire internal/dns internal/limit internal/metrics internal/bufpool",
		"access/imap/search": "access/imapwire delivery/mailbox internal/message",
		"access/imap":        "access/imap/search access/imapwire delivery/mailbox internal/auth internal/bufpool internal/message internal/mail internal/wire internal/maillog internal/metrics",
		"access/pop3":        "delivery/mailbox internal/auth internal/message internal/mail internal/wire internal/maillog internal/metrics",
		"internal/admin":     "internal/metrics internal/mail",
		"internal/admin/cli": "internal/admin internal/mail",
		"bench/result":       "", // plain data
		"bench/ledger":       "bench/result",
		"bench/cost":         "bench/result",
		"bench/stat":         "", // arithmetic
		"bench/calibrate":    "bench/result",
		"bench/report":       "bench/result bench/stat",
		"bench/gate":         "bench/result bench/stat",
		"bench/load":         "bench/ledger bench/result relay/smtp internal/mail internal/wire internal/bufpool",
		"bench/sink":         "bench/ledger bench/result internal/mail internal/wire internal/bufpool",
		"bench/access":       "bench/result internal/mail internal/wire internal/bufpool",
		"bench/target":       "bench/cost bench/result internal/mail",

		// Level 5
		"relay": "queue relay/* internal/auth internal/mail internal/message internal/limit internal/maillog internal/metrics",
		"bench": "bench/* internal/dns/dnstest internal/mail",

		// Levels 6 to 8: wiring.
		"internal/app": "queue relay/* delivery/* access/* internal/admin internal/auth internal/auth/* internal/autoconfig internal/backup internal/bufpool internal/certs internal/config internal/dns " +
			"internal/limit internal/mail internal/maillog internal/message internal/metrics internal/wire",
		"internal/demo": "internal/app internal/auth internal/auth/* internal/config internal/mail queue bench/access bench/ledger bench/load bench/sink internal/dns/dnstest",
		"cmd/postrider": "delivery/mailbox delivery/transfer delivery/transfer/* internal/app internal/demo internal/admin/* internal/auth internal/auth/* internal/backup internal/config internal/dns internal/dnscheck internal/mail internal/maillog",
		"cmd/postbench": "bench bench/* internal/dns/dnstest internal/mail",

		// Tests only.
		"internal/arch":        "",
		"internal/dialogue":    "",
		"access/imap/imaptest": "",
	}
}

// confined returns the dependencies that only some packages may use, so that
// what they cost and where they must be understood stays known.
func confined() map[string]string {
	return map[string]string{
		"github.com/cockroachdb/pebble/":          "internal/spool queue queue/internal/* delivery/mailbox delivery/mailbox/*",
		"github.com/emersion/go-smtp":             "bench bench/*", // and tests: it is the independent second implementation
		"github.com/emersion/go-imap/":            "delivery/transfer delivery/transfer/*",
		"github.com/emersion/go-sasl":             "internal/auth relay/smtp relay/outbound bench/*",
		"github.com/go-crypt/":                    "internal/auth/password",
		"golang.org/x/crypto/argon2":              "internal/auth/password",
		"golang.org/x/term":                       "cmd/postrider",
		"github.com/xdg-go/scram":                 "internal/auth internal/auth/password relay/smtp relay/outbound bench/*",
		"golang.org/x/perf/":                      "bench bench/*",
		"github.com/prometheus/procfs":            "bench bench/*",
		"github.com/miekg/dns":                    "internal/dns internal/dns/*",
		"golang.org/x/net/idna":                   "internal/dns relay/smtp",
		"golang.org/x/text/":                      "internal/message delivery/mailbox access/imap access/imap/search",
		"github.com/prometheus/":                  "internal/metrics bench bench/*",
		"go.uber.org/zap":                         "internal/maillog internal/app internal/demo cmd/postrider",
		"github.com/pelletier/go-toml/":           "internal/config bench",
		"github.com/go-jose/go-jose/":             "internal/auth/oauth",
		"github.com/jackc/pgx/":                   "internal/auth/sqldb",
		"github.com/go-ldap/ldap/":                "internal/auth/ldapdb",
		"github.com/spf13/cobra":                  "cmd/*",
		"github.com/coreos/go-systemd/":           "internal/app cmd/postrider",
		"github.com/schollz/progressbar/":         "internal/demo bench bench/* cmd/*",
		"github.com/HdrHistogram/hdrhistogram-go": "bench bench/*",
	}
}

// lookup returns the line for pkg.
func lookup(table map[string]string, pkg string) (list string, known bool) {
	if list, known = table[pkg]; known {
		return list, true
	}
	for up := path.Dir(pkg); up != "."; up = path.Dir(up) {
		if list, known = table[up+"/*"]; known {
			return list, true
		}
	}
	return "", false
}

// matches reports whether pkg is in list.
func matches(list, pkg string) bool {
	for entry := range strings.FieldsSeq(list) {
		if tree, ok := strings.CutSuffix(entry, "/*"); ok && (pkg == tree || strings.HasPrefix(pkg, tree+"/")) {
			return true
		}
		if entry == pkg {
			return true
		}
	}
	return false
}

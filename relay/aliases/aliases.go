// Package aliases reads the file of addresses that stand for others, and says
// which others those are.
//
// A line has a key and its targets, as the alias files of Postfix have them:
//
//	info@example.com:      alice, bob@example.net
//	"front desk"@example.com: info
//	@old.example:          @example.com
//	@example.org:          carol@example.com
//	abuse:                 alice@example.com
//
// A line that begins with a space goes on with the one before, "#" begins a line
// that is a comment. The colon may be missing where a space follows the key, and
// targets are separated by commas. A target without a domain is of the domain of
// the address that is looked up; "@domain" as a target keeps the local part.
// Commands, files and includes are refused: a target is an address.
//
// Local parts of keys match in any case, as those of a domain of this system may;
// addresses of other domains are never changed. An address is looked up as it is,
// then without its sub-address ("user+tag" as "user", the tag going to targets
// that have none), each first with its domain, then as a key without a domain,
// which is for all local domains, and last, unless it is a user's, as "@domain".
//
// A target that is a key, too, is expanded again. One that is the address itself
// ends there, so that "alice: alice, bob@example.net" keeps a copy. A longer cycle
// is cut where it closes.
//
// # Guarantees
//
// An expansion has at most 1000 targets, each once, and 10 levels; one that would
// have more is refused for a while, never shortened. Looking up an address that is
// no alias does not allocate.
//
// # Concurrency
//
// A Table is immutable. A File may be used by any goroutine.
package aliases

import (
	"bytes"

	"postrider/internal/mail"
)

// What a sender is told of an alias that does not work out. Loops: RFC 3463's
// X.4.6; the rest is our configuration's fault and so temporary.
var (
	statusLoop  = mail.NewStatus(554, 5, 4, 6, "the alias leads back to itself")
	statusLarge = mail.NewStatus(451, 4, 3, 5, "the alias cannot be expanded here")
)

const (
	maxTargets = 1000
	maxDepth   = 10
	// maxVisits bounds the addresses that are looked up for one expansion, those
	// between included.
	maxVisits = 4 * maxTargets
	tagMark   = '+'
)

// Options say whose addresses a file is for.
type Options struct {
	// Local are the domains that are delivered here; keys without a domain are
	// for them.
	Local []string
	// Relay are the other domains whose addresses may be keys.
	Relay []string
}

// Table is a file that was read. The nil Table has no aliases.
type Table struct {
	keys  map[string][]target // by address, "@domain", or local part alone; in lower case
	local map[string]bool
	has   map[string]bool // domains with keys of their own
	named bool            // there are keys without a domain
}

// target is where an alias leads. Without a domain it is of the domain that was
// looked up, without a local part it keeps that.
type target struct{ local, domain string }

// Len is the number of keys.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.keys)
}

// Has reports a domain, in lower case, that has keys, so that it is known which of
// its addresses exist unless it has mailboxes besides.
func (t *Table) Has(domain []byte) bool {
	return t != nil && (t.has[string(domain)] || t.named && t.local[string(domain)])
}

// Recipient is an address with what the sender has asked for it.
type Recipient struct {
	Address  []byte // canonical
	Notify   mail.Notify
	Original []byte // ORCPT; made from the address that was named, when the sender gave none
}

// Expansion is what an address stands for.
type Expansion struct {
	Users      Users // nil: there are none
	Recipients []Recipient
	// Expanded says that the sender wants to hear of success and that the address
	// has more than one target, so that he is told that much now and nothing of
	// each (RFC 3461 section 5.2.7.3).
	Expanded bool
	// Cycle is an address at which a cycle was cut, for the log; else empty.
	Cycle string
}

// Expand replaces x with what r stands for; it reports false when that is r itself,
// since it is no alias. Whoever gets a non-zero Status answers with it and uses
// nothing of x. to is r's address in parsed form.
func (t *Table) Expand(to mail.Address, r Recipient, x *Expansion) (bool, mail.Status) {
	*x = Expansion{Users: x.Users, Recipients: x.Recipients[:0]}
	var room [mail.MaxAddressLen]byte
	if t == nil {
		return false, mail.Status{}
	}
	if _, _, found, s := t.find(to, x.Users, room[:0]); !found {
		return false, s
	}
	w := walk{t: t, state: make(map[string]visit), added: make(map[string]bool), x: x}
	if s := w.expand(to, 0); !s.IsZero() {
		return true, s
	}
	if len(x.Recipients) == 0 {
		return true, statusLoop
	}
	notify, original := r.Notify, r.Original
	if len(original) == 0 {
		original = appendOriginal(nil, r.Address)
	}
	if len(x.Recipients) > 1 && notify&mail.NotifySuccess != 0 {
		x.Expanded = true
		if notify &^= mail.NotifySuccess; notify == 0 {
			notify = mail.NotifyNever
		}
	}
	for i := range x.Recipients {
		x.Recipients[i].Notify, x.Recipients[i].Original = notify, original
	}
	return true, mail.Status{}
}

// visit is how far an address has come in a walk.
type visit uint8

const (
	open visit = iota + 1 // its targets are being expanded: meeting it again is a cycle
	done
)

// walk is one expansion.
type walk struct {
	t     *Table
	state map[string]visit // by address, the local part in lower case
	added map[string]bool  // the same, of what stands in x
	x     *Expansion
}

// expand adds what a stands for.
func (w *walk) expand(a mail.Address, depth int) mail.Status {
	self := foldKey(a)
	switch w.state[self] {
	case open:
		w.x.Cycle = a.String()
		return mail.Status{}
	case done:
		return mail.Status{}
	}
	if depth > maxDepth || len(w.state) >= maxVisits {
		return statusLarge
	}
	targets, tag, found, s := w.t.find(a, w.x.Users, nil)
	if !s.IsZero() {
		return s
	}
	if !found {
		w.state[self] = done
		return w.add(a)
	}
	w.state[self] = open
	for _, to := range targets {
		next := to.of(a, tag)
		if len(next.Local)+1+len(next.Domain) > mail.MaxAddressLen {
			return statusLarge
		}
		if foldKey(next) == self {
			s = w.add(next)
		} else {
			s = w.expand(next, depth+1)
		}
		if !s.IsZero() {
			return s
		}
	}
	w.state[self] = done
	return mail.Status{}
}

// add takes an address that stands for itself, once. Those that differ only in the
// case of their local parts are taken for one: nobody has both.
func (w *walk) add(a mail.Address) mail.Status {
	key := foldKey(a)
	if w.added[key] {
		return mail.Status{}
	}
	if len(w.x.Recipients) >= maxTargets {
		return statusLarge
	}
	w.added[key] = true
	w.x.Recipients = append(w.x.Recipients, Recipient{Address: a.AppendText(nil)})
	return mail.Status{}
}

// of returns the address that to means when a was looked up.
func (to target) of(a mail.Address, tag []byte) mail.Address {
	next := mail.Address{Local: []byte(to.local), Domain: []byte(to.domain)}
	if to.domain == "" {
		next.Domain = a.Domain
	}
	switch {
	case to.local == "":
		next.Local = a.Local
	case len(tag) > 0 && bytes.IndexByte(next.Local, tagMark) < 0:
		next.Local = append(next.Local, tag...)
	}
	return next
}

func foldKey(a mail.Address) string {
	return string(append(append(appendLower(nil, a.Local), '@'), a.Domain...))
}

// appendLower appends b with ASCII letters in lower case.
func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

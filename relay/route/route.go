// Package route decides where the recipients of a domain go next.
//
// A Table is a list of rules: the first that matches wins. When none does, the
// domains of this system go to the local delivery agent and all others to their
// mail exchangers.
//
// # Concurrency
//
// A Table is immutable. A reload builds a new one, and whoever looks up swaps
// the pointer.
package route

import (
	"bytes"

	"postrider/internal/mail"
)

// Rule sends the domains that match to a hop.
type Rule struct {
	// Domain is an exact domain, ".suffix" for every domain below it (but not
	// itself), or "*" for all. Case does not matter.
	Domain string
	Hop    mail.Hop
}

// Table is an ordered list of rules, indexed so that a look-up costs one probe
// for each label of the domain, whatever the number of rules.
type Table struct {
	exact  map[string]*entry
	suffix map[string]*entry // without the leading dot
	all    *entry            // the first "*"; nil without one
	remote *entry
}

// entry is what a rule says, and its place in the order; the lowest wins.
type entry struct {
	order int
	hop   mail.Hop
	lane  string
}

// New indexes rules, which are in the order of precedence. local are the domains
// that are delivered here.
func New(rules []Rule, local []string) *Table {
	t := &Table{
		exact:  make(map[string]*entry, len(rules)+len(local)),
		suffix: make(map[string]*entry),
	}
	put := func(m map[string]*entry, domain string, e *entry) {
		if _, taken := m[domain]; !taken {
			m[domain] = e
		}
	}
	for i, r := range rules {
		e := newEntry(i, r.Hop)
		domain := lower(r.Domain)
		switch {
		case domain == "*":
			if t.all == nil {
				t.all = e
			}
		case len(domain) > 0 && domain[0] == '.':
			put(t.suffix, domain[1:], e)
		default:
			put(t.exact, domain, e)
		}
	}
	here := newEntry(len(rules), mail.Hop{Kind: mail.HopLocal})
	t.remote = newEntry(len(rules)+1, mail.Hop{Kind: mail.HopMX})
	for _, d := range local {
		put(t.exact, lower(d), here) // an exact rule for it stands before
	}
	return t
}

func newEntry(order int, hop mail.Hop) *entry {
	return &entry{order: order, hop: hop, lane: hop.String()}
}

// Lookup returns the hop for a domain in lower case, as mail.ParseAddress gives
// it. It does not allocate.
func (t *Table) Lookup(domain []byte) mail.Hop { return t.find(domain).hop }

// Lane returns the name of that hop's lane, Hop.String. It does not allocate.
func (t *Table) Lane(domain []byte) string { return t.find(domain).lane }

func (t *Table) find(domain []byte) *entry {
	best := t.remote
	if t.all != nil {
		best = t.all
	}
	if e, ok := t.exact[string(domain)]; ok && e.order < best.order {
		best = e
	}
	if len(t.suffix) == 0 {
		return best
	}
	for rest := domain; ; {
		i := bytes.IndexByte(rest, '.')
		if i < 0 {
			return best
		}
		rest = rest[i+1:]
		if e, ok := t.suffix[string(rest)]; ok && e.order < best.order {
			best = e
		}
	}
}

// lower folds ASCII letters, as ParseAddress does.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Package route decides where a recipient goes next, and from where.
//
// A Table is a list of rules. A rule has conditions on the recipient's domain, on
// the sender, on the user who logged in and on the client; the first rule of which
// all conditions are met says the Plan: the next hop, the pool of sources, the
// fallback. When no rule matches, the domains of this system go to the local
// delivery agent and all others to their mail exchangers.
//
// A recipient outlives the session that brought it, restarts and reloads. So the
// conditions on sender, user and client are tried once, when it is accepted, and
// what was found is a Selector: a short text that is stored beside the recipient
// and names the conditions that were met, by a hash of their text. A look-up needs
// the domain and the selector only. A condition that a reload has taken away is
// passed over, one that came since is not met by what was accepted before.
//
// # Concurrency
//
// A Table is immutable. A reload builds a new one, and whoever looks up swaps
// the pointer. What it hands out is read-only, too.
package route

import (
	"bytes"
	"net/netip"

	"postrider/internal/mail"
)

// Rule says what becomes of the recipients that meet all of its conditions.
type Rule struct {
	// Domain is an exact domain, ".suffix" for every domain below it (but not
	// itself), or "*" or "" for all. Case does not matter.
	Domain string
	// Sender is "" for any, "<>" for the null sender, "user@domain", "domain" or
	// ".suffix". Case does not matter.
	Sender string
	// User is "" for any, "*" for whoever has logged in, "@domain" for the users
	// of a domain, or a user's name. Case does not matter.
	User string
	// Client is where the mail came from; the zero value: anywhere.
	Client netip.Prefix

	Hop           mail.Hop
	Pool          string          // of sources, or the name of one; "": DefaultPool
	Fallback      mail.Hop        // the zero value: none
	FallbackAfter int             // attempts; 0: 5
	Login         *mail.Login     // AUTH at Hop; nil: none
	TLS           *mail.TLSPolicy // nil: as the policies say
}

// Plan is what a rule says.
type Plan struct {
	Hop   mail.Hop
	Lane  string      // Hop.String
	Pool  *Pool       // never nil
	Login *mail.Login // AUTH at the hop; nil: none
	// TLS is the policy of a hop that is named. Where the domain has a say, which
	// is for HopMX, Table.TLS knows.
	TLS mail.TLSPolicy
	// Fallback is used after FallbackAfter attempts; nil: none. It has none itself.
	Fallback      *Plan
	FallbackAfter int

	fixed bool // TLS is from the rule, whatever the domain
}

// At returns p or, once a recipient has had that many attempts, its fallback.
func (p *Plan) At(attempts int) *Plan {
	if p.Fallback != nil && attempts >= p.FallbackAfter {
		return p.Fallback
	}
	return p
}

const defaultFallbackAfter = 5

// HasFallback reports that some plan has one.
func (t *Table) HasFallback() bool { return t.fallbacks }

// Options are the parts of a table.
type Options struct {
	Rules    []Rule   // in the order of precedence
	Local    []string // domains that are delivered here
	Sources  []Source // of the pools; none: the default source alone
	Policies []Policy // of TLS
}

// Table is an ordered list of rules, indexed so that a look-up costs one probe
// for each label of the domain and each condition of the selector, whatever the
// number of rules.
type Table struct {
	base       index                 // rules on the domain alone
	conditions map[string]*condition // by their ids
	matcher    matcher
	remote     *entry
	policies   policies
	pools      map[string]*Pool
	fallbacks  bool // some plan has one
}

// index holds the rules that have the same conditions beside the domain.
type index struct {
	exact  map[string]*entry
	suffix map[string]*entry // without the leading dot
	all    *entry            // the first "*"; nil without one
}

// entry is what a rule says, and its place in the order; the lowest wins.
type entry struct {
	order int
	plan  Plan
}

// New indexes what o says.
func New(o Options) *Table {
	t := &Table{
		base:       newIndex(),
		conditions: make(map[string]*condition),
		policies:   newPolicies(o.Policies),
		pools:      newPools(o.Sources),
	}
	for i := range o.Rules {
		r := &o.Rules[i]
		at := &t.base
		if c := conditionOf(r); !c.isNone() {
			at = &t.condition(c).index
		}
		at.put(lower(r.Domain), &entry{order: i, plan: t.plan(r)})
	}
	here := &entry{order: len(o.Rules), plan: t.plan(&Rule{Hop: mail.Hop{Kind: mail.HopLocal}})}
	t.remote = &entry{order: len(o.Rules) + 1, plan: t.plan(&Rule{Hop: mail.Hop{Kind: mail.HopMX}})}
	for _, d := range o.Local {
		t.base.put(lower(d), here) // an exact rule for it stands before
	}
	return t
}

func newIndex() index {
	return index{exact: make(map[string]*entry), suffix: make(map[string]*entry)}
}

// put adds e for a domain in lower case, unless an earlier rule has it.
func (x *index) put(domain string, e *entry) {
	m := x.exact
	switch {
	case domain == "*" || domain == "":
		if x.all == nil {
			x.all = e
		}
		return
	case domain[0] == '.':
		m, domain = x.suffix, domain[1:]
	}
	if _, taken := m[domain]; !taken {
		m[domain] = e
	}
}

// find returns the first rule for domain that stands before best, else best.
func (x *index) find(domain []byte, best *entry) *entry {
	if x.all != nil && x.all.order < best.order {
		best = x.all
	}
	if e, ok := x.exact[string(domain)]; ok && e.order < best.order {
		best = e
	}
	if len(x.suffix) == 0 {
		return best
	}
	for rest := domain; ; {
		i := bytes.IndexByte(rest, '.')
		if i < 0 {
			return best
		}
		rest = rest[i+1:]
		if e, ok := x.suffix[string(rest)]; ok && e.order < best.order {
			best = e
		}
	}
}

// Lookup returns the plan for a domain in lower case, as mail.ParseAddress gives
// it, and a selector that AppendSelector of this or an earlier table wrote. It is
// never nil. Lookup does not allocate.
func (t *Table) Lookup(domain, selector []byte) *Plan {
	best := t.base.find(domain, t.remote)
	for len(selector) >= idLen {
		if c, ok := t.conditions[string(selector[:idLen])]; ok {
			best = c.index.find(domain, best)
		}
		selector = selector[idLen:]
	}
	return &best.plan
}

// TLS returns the policy for mail to a domain by a plan of this table: what the
// rule says, else what the policies say of the domain, or of the host where the
// hop is named. It does not allocate.
func (t *Table) TLS(domain []byte, p *Plan) mail.TLSPolicy {
	if p.fixed || p.Hop.Kind != mail.HopMX {
		return p.TLS
	}
	return t.policies.find(domain)
}

// plan is what r says, with its names resolved.
func (t *Table) plan(r *Rule) Plan {
	p := Plan{Hop: r.Hop, Lane: r.Hop.String(), Pool: t.Pool(r.Pool), Login: r.Login}
	p.TLS, p.fixed = t.hopTLS(r.Hop), r.TLS != nil
	if p.fixed {
		p.TLS = *r.TLS
	}
	if p.Login != nil && p.TLS.Level == mail.TLSMay {
		// A password goes in clear only where that was asked for (RFC 4954 section 4
		// forbids it for mechanisms like PLAIN).
		p.TLS = mail.TLSPolicy{Level: mail.TLSEncrypt, Origin: originPolicy}
		p.fixed = true
	}
	if r.Fallback.Kind != mail.HopNone {
		p.Fallback = &Plan{Hop: r.Fallback, Lane: r.Fallback.String(), Pool: p.Pool, TLS: t.hopTLS(r.Fallback)}
		p.FallbackAfter = r.FallbackAfter
		t.fallbacks = true
		if p.FallbackAfter <= 0 {
			p.FallbackAfter = defaultFallbackAfter
		}
	}
	return p
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

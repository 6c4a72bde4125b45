package route

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"net/netip"
	"strings"

	"postrider/internal/mail"
)

const (
	// idLen is the length of a condition's id: 30 bits. Among a thousand conditions
	// two clash once in two thousand configurations, and then the later one gets
	// another name.
	idLen = 6
	// maxSelected bounds the conditions of a selector. The conditions of the first
	// rules are kept.
	maxSelected = 8
)

// MaxSelector is the length of the longest selector.
const MaxSelector = idLen * maxSelected

// terms are the conditions of a rule beside the domain, in lower case.
type terms struct {
	sender, user string
	client       netip.Prefix
}

func conditionOf(r *Rule) terms {
	c := terms{sender: lower(r.Sender), user: lower(r.User)}
	if r.Client.IsValid() {
		c.client = r.Client.Masked()
	}
	return c
}

func (c terms) isNone() bool { return c == terms{} }

// id names the condition for as long as its text stays the same. try counts the
// names that others had already.
func (c terms) id(try int) string {
	text := strings.Repeat("again\x00", try) + c.sender + "\x00" + c.user + "\x00"
	if c.client.IsValid() {
		text += c.client.String()
	}
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:idLen])
}

// condition holds the rules that have the same terms.
type condition struct {
	terms
	id    string
	order int // of the first rule that has it
	index index
}

// matcher finds the conditions that a message meets. Each condition is listed
// under one of its terms, the one that fewest messages meet.
type matcher struct {
	sender map[string][]*condition // by address, domain, ".suffix" or "<>"
	user   map[string][]*condition // by name, "@domain" or "*"
	client []*condition
}

// condition returns the condition with the terms c, which is made when there is
// none.
func (t *Table) condition(c terms) *condition {
	id := c.id(0)
	for try := 1; t.conditions[id] != nil; try++ {
		if x := t.conditions[id]; x.terms == c {
			return x
		}
		id = c.id(try)
	}
	x := &condition{terms: c, id: id, order: len(t.conditions), index: newIndex()}
	t.conditions[id] = x
	m := &t.matcher
	switch {
	case c.sender != "":
		if m.sender == nil {
			m.sender = make(map[string][]*condition)
		}
		m.sender[c.sender] = append(m.sender[c.sender], x)
	case c.user != "":
		if m.user == nil {
			m.user = make(map[string][]*condition)
		}
		m.user[c.user] = append(m.user[c.user], x)
	default:
		m.client = append(m.client, x)
	}
	return x
}

// AppendSelector appends the text that names the conditions which a message meets:
// nothing where rules look at domains only. Of env the sender, the user and the
// client are read. It does not allocate beyond dst.
func (t *Table) AppendSelector(dst []byte, env *mail.Envelope) []byte {
	if len(t.conditions) == 0 {
		return dst
	}
	f := finder{env: env}
	f.senders(t.matcher.sender)
	f.users(t.matcher.user)
	f.add(t.matcher.client)
	for _, c := range f.found[:f.n] {
		dst = append(dst, c.id...)
	}
	return dst
}

// Selector is AppendSelector for tests and for paths that are not hot.
func (t *Table) Selector(env *mail.Envelope) string { return string(t.AppendSelector(nil, env)) }

// finder gathers conditions in their order.
type finder struct {
	env   *mail.Envelope
	found [maxSelected]*condition // the first n
	n     int
	fold  [mail.MaxAddressLen]byte
}

// folded returns b in lower case; it is valid until the next call.
func (f *finder) folded(b []byte) []byte {
	b = f.fold[:copy(f.fold[:], b)]
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func (f *finder) senders(m map[string][]*condition) {
	if len(m) == 0 {
		return
	}
	sender := f.folded(f.env.Sender)
	if len(sender) == 0 {
		f.add(m["<>"])
		return
	}
	rest := mail.DomainOf(sender)
	if rest == nil {
		return
	}
	f.add(m[string(sender)])
	f.add(m[string(rest)])
	for {
		i := bytes.IndexByte(rest, '.')
		if i < 0 {
			return
		}
		f.add(m[string(rest[i:])])
		rest = rest[i+1:]
	}
}

func (f *finder) users(m map[string][]*condition) {
	if len(m) == 0 || len(f.env.User) == 0 {
		return
	}
	user := f.folded(f.env.User)
	f.add(m["*"])
	f.add(m[string(user)])
	if i := bytes.LastIndexByte(user, '@'); i >= 0 {
		f.add(m[string(user[i:])])
	}
}

// add keeps those of list whose other terms are met, too.
func (f *finder) add(list []*condition) {
	for _, c := range list {
		if !c.meets(f.env) {
			continue
		}
		at := f.n
		if at == maxSelected {
			if at--; f.found[at].order < c.order {
				continue
			}
		} else {
			f.n++
		}
		for ; at > 0 && f.found[at-1].order > c.order; at-- {
			f.found[at] = f.found[at-1]
		}
		f.found[at] = c
	}
}

// meets tries the user and the client; the sender is what c was found by, when it
// has one.
func (c *condition) meets(env *mail.Envelope) bool {
	if c.client.IsValid() && !(env.Client.IsValid() && c.client.Contains(env.Client.Unmap().WithZone(""))) {
		return false
	}
	switch {
	case c.user == "":
		return true
	case len(env.User) == 0:
		return false
	case c.user == "*":
		return true
	case c.user[0] == '@':
		i := bytes.LastIndexByte(env.User, '@')
		return i >= 0 && equalFold(env.User[i:], c.user)
	}
	return equalFold(env.User, c.user)
}

// equalFold compares b with a text in lower case, ASCII letters in any case.
func equalFold(b []byte, low string) bool {
	if len(b) != len(low) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != low[i] {
			return false
		}
	}
	return true
}

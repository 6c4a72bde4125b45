package dns

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// Facts stand beside every answer.
type Facts struct {
	Authentic bool          // validated by DNSSEC, as a loopback server says
	TTL       time.Duration // how long the answer may be kept from now
}

// Exchanger is a mail exchanger: a host name in lower case without a dot at its end.
type Exchanger struct {
	Host       string
	Preference uint16
}

// MX says where the mail of a domain goes.
type MX struct {
	Hosts    []Exchanger // by preference, then by name; shared: only to be read
	Null     bool        // the domain takes no mail (RFC 7505); no hosts
	Implicit bool        // there is no MX, so that the domain itself is the host (RFC 5321 section 5.1)
	Facts
}

// Addresses are those of a host. The slices are shared: only to be read.
type Addresses struct {
	V4, V6  []netip.Addr
	Partial bool // one family could not be asked for now
	Facts
}

// Texts are the TXT records of a name, each with its strings joined. The slice is
// shared: only to be read.
type Texts struct {
	Texts []string
	Facts
}

// Names are what an address is called. The slice is shared: only to be read.
type Names struct {
	Names []string
	Facts
}

// TLSA says which certificate a service has (RFC 6698 section 2).
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      []byte
}

// TLSAs are the TLSA records of a name. The slices are shared: only to be read.
type TLSAs struct {
	Records []TLSA
	Facts
}

// MX returns the mail exchangers of a domain. A domain without MX has itself as its
// only host, whether that has an address or not. Names that no host can have are
// left out, so that Hosts may be empty.
func (r *Resolver) MX(ctx context.Context, domain string) (MX, error) {
	a, now := r.lookup(ctx, domain, wire.TypeMX)
	if err := a.err; err != nil {
		return MX{}, err
	}
	return MX{Hosts: a.hosts, Null: a.null, Implicit: a.implicit, Facts: a.facts(now)}, nil
}

// TXT returns the texts of a name.
func (r *Resolver) TXT(ctx context.Context, name string) (Texts, error) {
	a, now := r.lookup(ctx, name, wire.TypeTXT)
	if err := a.err; err != nil {
		return Texts{}, err
	}
	return Texts{Texts: a.texts, Facts: a.facts(now)}, nil
}

// TLSA returns the records of a name such as "_25._tcp.mx.example".
func (r *Resolver) TLSA(ctx context.Context, name string) (TLSAs, error) {
	a, now := r.lookup(ctx, name, wire.TypeTLSA)
	if err := a.err; err != nil {
		return TLSAs{}, err
	}
	return TLSAs{Records: a.tlsa, Facts: a.facts(now)}, nil
}

// PTR returns the names of an address.
func (r *Resolver) PTR(ctx context.Context, addr netip.Addr) (Names, error) {
	name, err := wire.ReverseAddr(addr.Unmap().WithZone("").String())
	if err != nil {
		return Names{}, &Error{Kind: ErrNotFound, Record: "PTR", Name: addr.String()}
	}
	a, now := r.lookup(ctx, name, wire.TypePTR)
	if err := a.err; err != nil {
		return Names{}, err
	}
	return Names{Names: a.texts, Facts: a.facts(now)}, nil
}

// Addresses returns the addresses of a host, asking for both families at once. When
// one of them fails for now, those of the other are returned alone.
func (r *Resolver) Addresses(ctx context.Context, host string) (Addresses, error) {
	v4, v6, now := r.both(ctx, host)
	switch {
	case v4.err == nil && v6.err == nil:
		return Addresses{V4: v4.addrs, V6: v6.addrs, Facts: both(v4.facts(now), v6.facts(now))}, nil
	case v4.err == nil:
		return Addresses{V4: v4.addrs, Partial: errors.Is(v6.err, ErrTemporary), Facts: v4.facts(now)}, nil
	case v6.err == nil:
		return Addresses{V6: v6.addrs, Partial: errors.Is(v4.err, ErrTemporary), Facts: v6.facts(now)}, nil
	case errors.Is(v4.err, ErrTemporary):
		return Addresses{}, v4.err
	case errors.Is(v6.err, ErrTemporary):
		return Addresses{}, v6.err
	case errors.Is(v4.err, ErrNoData): // the name exists, whatever the other answer says
		return Addresses{}, v4.err
	}
	return Addresses{}, v6.err
}

// both asks for A and AAAA, side by side when the cache does not have them.
func (r *Resolver) both(ctx context.Context, host string) (v4, v6 *answer, now time.Time) {
	if !isFresh(ctx) {
		if name, ok := canonical(host); ok {
			now = time.Now()
			v4, v6 = r.cache.get(key{name, wire.TypeA, false}, now), r.cache.get(key{name, wire.TypeAAAA, false}, now)
			if v4 != nil && v6 != nil {
				r.observe(wire.TypeA, v4.err, 0, true)
				r.observe(wire.TypeAAAA, v6.err, 0, true)
				return v4, v6, now
			}
		}
	}
	return r.sideBySide(ctx, host)
}

// sideBySide is apart from both so that hits do not pay for what the goroutine shares.
// When one family is there, the other gets a quarter of a try more: servers that never
// answer for AAAA are common, and must not hold up mail.
func (r *Resolver) sideBySide(ctx context.Context, host string) (v4, v6 *answer, now time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(r.o.Total, cancel)
	defer late.Stop()
	one := func(kind uint16) *answer {
		a, _ := r.lookup(ctx, host, kind)
		if a.err == nil {
			late.Reset(r.o.Timeout / 4)
		}
		return a
	}
	done := make(chan struct{})
	go func() { // waited for below
		defer close(done)
		v6 = one(wire.TypeAAAA)
	}()
	v4 = one(wire.TypeA)
	<-done
	return v4, v6, time.Now()
}

func both(a, b Facts) Facts {
	return Facts{Authentic: a.Authentic && b.Authentic, TTL: min(a.TTL, b.TTL)}
}

// lookup answers from the cache or asks, and says when. The error in the answer, when
// there is one, is an *Error.
func (r *Resolver) lookup(ctx context.Context, name string, kind uint16) (*answer, time.Time) {
	start := time.Now()
	canon, ok := canonical(name)
	if !ok { // what is no name does not exist
		a := &answer{err: &Error{Kind: ErrNotFound, Record: wire.TypeToString[kind], Name: name}}
		r.observe(kind, a.err, 0, true)
		return a, start
	}
	k := key{name: canon, kind: kind, fresh: isFresh(ctx)}
	if a := r.cache.get(key{name: canon, kind: kind}, start); a != nil && (!k.fresh || start.Before(a.fresh)) {
		r.observe(kind, a.err, 0, true)
		return a, start
	}
	a := r.share(ctx, k)
	now := time.Now()
	r.observe(kind, a.err, now.Sub(start), false)
	return a, now
}

func (r *Resolver) observe(kind uint16, err error, took time.Duration, cached bool) {
	if r.o.Observe != nil {
		r.o.Observe(wire.TypeToString[kind], result(err), took, cached)
	}
}

// ASCII returns a name as it is asked for: in lower case, in its ASCII form (RFC 5890
// section 2.3.2.1) and without a dot at its end; false when it is no name.
func ASCII(name string) (string, bool) { return canonical(name) }

// canonical returns a name in lower case, in ASCII and without a dot at its end, as
// the cache knows it; false when it is no name.
func canonical(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	plain, label := true, 0
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		case c >= 'A' && c <= 'Z', c >= 0x80:
			plain = false
		default:
			return "", false
		}
		if label++; label > 63 && plain { // RFC 1035 section 2.3.4
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if plain {
		return name, len(name) <= 253
	}
	return unusual(name)
}

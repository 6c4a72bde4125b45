package route

import (
	"encoding/binary"
	"math"
	"net/netip"

	"postrider/internal/mail"
)

// DefaultPool is the pool of rules that name none.
const DefaultPool = "default"

// Source is an address that mail leaves from, in a pool.
type Source struct {
	mail.SourceHost
	Pool   string // "": DefaultPool
	Weight int    // share of the pool's messages; 0 or less: only when no other can be used

	hash uint64
}

// Reaches reports whether connections to a come from the source's own address. A
// source with an address of one family only does not reach the other one: the
// system would choose the address, and the name in EHLO would not belong to it.
func (s *Source) Reaches(a netip.Addr) bool {
	if !s.V4.IsValid() && !s.V6.IsValid() {
		return true
	}
	if a.Unmap().Is4() {
		return s.V4.IsValid()
	}
	return s.V6.IsValid()
}

// Pool is a set of sources that share messages by weight.
//
// Which source a message has is weighted rendezvous hashing of its id: every
// source draws a number from the id and its own name, and the highest one gets
// the message. So nothing has to be remembered: a message has the same source at
// each of its attempts and after a restart, which is what greylisting wants to
// see. When a source cannot be used only its own messages move, spread over the
// others by weight, and when one is added the others lose no more than what it
// gets.
type Pool struct {
	Name    string
	Sources []Source // at least one; read-only
}

// newPools sorts sources into pools. A source is also a pool of its own by its
// name, unless that is the name of a pool.
func newPools(sources []Source) map[string]*Pool {
	pools := make(map[string]*Pool)
	for _, s := range sources {
		s.hash = hashName(s.Name)
		if s.Pool == "" {
			s.Pool = DefaultPool
		}
		p := pools[s.Pool]
		if p == nil {
			p = &Pool{Name: s.Pool}
			pools[s.Pool] = p
		}
		p.Sources = append(p.Sources, s)
	}
	named := make([]Source, 0, len(sources))
	for _, p := range pools {
		named = append(named, p.Sources...)
	}
	for _, s := range named {
		if _, taken := pools[s.Name]; !taken {
			pools[s.Name] = &Pool{Name: s.Name, Sources: []Source{s}}
		}
	}
	if pools[DefaultPool] == nil {
		pools[DefaultPool] = &Pool{Name: DefaultPool, Sources: []Source{{Pool: DefaultPool, Weight: 1, hash: hashName("")}}}
	}
	return pools
}

// Pool returns the pool of that name, or that of the one source of that name; the
// default pool when there is neither.
func (t *Table) Pool(name string) *Pool {
	if p, ok := t.pools[name]; ok && name != "" {
		return p
	}
	return t.pools[DefaultPool]
}

// Source returns the source of that name, nil when a reload has taken it away.
// The default source, of a system that names none, has the name "".
func (t *Table) Source(name string) *Source {
	if p, ok := t.pools[name]; ok {
		for i := range p.Sources {
			if p.Sources[i].Name == name {
				return &p.Sources[i]
			}
		}
	}
	for _, p := range t.pools {
		for i := range p.Sources {
			if p.Sources[i].Name == name {
				return &p.Sources[i]
			}
		}
	}
	return nil
}

// Pick returns the source of a message among those that usable lets pass; nil
// when there is none. A nil usable lets all pass. It does not allocate.
func (p *Pool) Pick(id mail.ID, usable func(*Source) bool) *Source {
	return p.pick(mix(binary.BigEndian.Uint64(id[:8]))^binary.BigEndian.Uint64(id[8:]), usable)
}

// PickFor is Pick for something else than a message: a bucket of many, say, whose
// source cannot be used.
func (p *Pool) PickFor(key []byte, usable func(*Source) bool) *Source {
	return p.pick(hashName(string(key)), usable)
}

func (p *Pool) pick(key uint64, usable func(*Source) bool) *Source {
	if len(p.Sources) == 1 && usable == nil {
		return &p.Sources[0]
	}
	var best *Source
	top, spare := math.Inf(-1), true
	for i := range p.Sources {
		s := &p.Sources[i]
		weight, unpaid := float64(s.Weight), s.Weight <= 0
		if unpaid {
			weight = 1
		}
		if best != nil && unpaid && !spare || usable != nil && !usable(s) {
			continue
		}
		// -weight/ln(u) with u in (0, 1) is the highest for s with the probability
		// weight/sum of weights.
		u := (float64(mix(key^s.hash)>>11) + 0.5) / (1 << 53)
		score := -weight / math.Log(u)
		if best == nil || spare && !unpaid || spare == unpaid && score > top {
			best, top, spare = s, score, unpaid
		}
	}
	return best
}

// mix is the finalizer of SplitMix64: every bit of x changes half of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashName is FNV-1a, finished by mix. It must stay as it is: another one would
// give waiting messages other sources.
func hashName(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

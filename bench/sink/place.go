package sink

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"postrider/bench/result"
)

// behaviour is the Policy of a Site made ready for use.
type behaviour struct {
	Policy
	name    string
	plain   bool // it does nothing at all
	shared  bool
	latency [stages]*sampler
	replies [stages][]*answer
	down    []span
	before  spread
	after   spread
	took    *endToEnd // of all its domains

	hello, helloTLS []byte // replies to EHLO
}

// answer is a Reply made ready for use.
type answer struct {
	share  float64
	reply  []byte
	code   int
	spread spread
}

func newBehaviour(s *Site, o *Options) (*behaviour, error) {
	b := &behaviour{Policy: s.Policy, name: s.Name, shared: s.Shared, took: newEndToEnd()}
	if b.name == "" {
		b.name = s.Domains.text
	}
	for at, d := range [stages]Delay{s.Latency.Connect, s.Latency.Hello, s.Latency.Mail, s.Latency.Rcpt, s.Latency.Data, s.Latency.End} {
		var err error
		if b.latency[at], err = d.parse(); err != nil {
			return nil, err
		}
	}
	for _, w := range s.Down {
		sp, err := w.parse()
		if err != nil {
			return nil, err
		}
		b.down = append(b.down, sp)
	}
	for _, r := range s.Reply {
		code, err := replyCode(r.Text)
		if err != nil || r.At >= stages {
			return nil, fmt.Errorf("reply %q: %w", r.Text, errReply)
		}
		a := &answer{share: float64(r.Share), reply: []byte(r.Text + "\r\n"), code: code}
		b.replies[r.At] = append(b.replies[r.At], a)
	}
	if s.TLS >= tlsModes {
		return nil, fmt.Errorf("TLS mode %d", s.TLS)
	}
	l := &s.Limits
	if l.Rate < 0 || l.Burst < 0 || l.Connections < 0 || l.Messages < 0 || l.Recipients < 0 || l.Size < 0 {
		return nil, fmt.Errorf("limits of %q: below zero", b.name)
	}
	if l.Rate > 0 && l.Burst == 0 {
		b.Limits.Burst = max(1, l.Rate)
	}
	ho := *o
	ho.NoPipelining, ho.NoChunking, ho.MaxSize = s.NoPipelining, s.NoChunking, l.Size
	b.helloTLS = helloReply(&ho, false, s.Limits.line())
	b.hello = helloReply(&ho, s.TLS != TLSNone, s.Limits.line())
	b.plain = !b.needsAddress() && len(s.Reply) == 0 && s.Greylist == 0 && s.DropBefore == 0 && s.DropAfter == 0 &&
		!s.AddressReplies && s.Limits == Limits{} && s.Latency == Latencies{}
	return b, nil
}

// ask returns what happens at a stage.
func (b *behaviour) ask(at Stage, r *rand.Rand) (v verdict) {
	v.delay = b.latency[at].draw(r)
	for _, a := range b.replies[at] {
		if a.share == 0 || a.spread.fires(a.share) {
			v.reply, v.code = a.reply, a.code
			return v
		}
	}
	if at == AtEnd {
		switch {
		case b.DropBefore > 0 && b.before.fires(float64(b.DropBefore)):
			v.drop, v.lost = true, true
		case b.DropAfter > 0 && b.after.fires(float64(b.DropAfter)):
			v.drop = true
		}
	}
	return v
}

// isDown reports whether the time since the beginning is in a window.
func (b *behaviour) isDown(since time.Duration) bool {
	for _, s := range b.down {
		if since >= s.from && since < s.to {
			return true
		}
	}
	return false
}

// place is one destination: a domain, or a provider of many.
type place struct {
	name     string
	b        *behaviour
	reports  bool // mail for it is DSNs
	n        placeCounters
	endToEnd coarse

	mu      sync.Mutex // guards following
	tokens  float64    // of the rate
	filled  time.Time  // when they were counted; zero: never
	first   time.Time  // when the first message came
	greyed  map[uint64]time.Time
	allowed float64 // messages that the rate has allowed since first
}

// placeCounters are what result.Domain tells.
type placeCounters struct {
	delivered, deferred, refused, dropped atomic.Int64
	connections, open, peak, violations   atomic.Int64
	messages                              atomic.Int64 // transactions that the rate let pass
}

// enter counts a connection, and reports whether the limit allows it.
func (p *place) enter() bool {
	p.n.connections.Add(1)
	open := p.n.open.Add(1)
	for {
		peak := p.n.peak.Load()
		if open <= peak || p.n.peak.CompareAndSwap(peak, open) {
			break
		}
	}
	if limit := p.b.Limits.Connections; limit > 0 && open > int64(limit) {
		p.n.violations.Add(1)
		return false
	}
	return true
}

func (p *place) leave() { p.n.open.Add(-1) }

// passes takes a message off the allowed rate.
func (p *place) passes(now time.Time) bool {
	l := &p.b.Limits
	if l.Rate == 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.filled.IsZero() {
		p.tokens, p.filled, p.first = l.Burst, now, now
	}
	p.tokens = min(l.Burst, p.tokens+now.Sub(p.filled).Seconds()*l.Rate)
	p.filled = now
	p.allowed = now.Sub(p.first).Seconds() * l.Rate
	if p.tokens < 1 {
		p.n.violations.Add(1)
		return false
	}
	p.tokens--
	p.n.messages.Add(1)
	return true
}

// maxGreyed bounds what a greylist remembers; who comes beyond it passes.
const maxGreyed = 1 << 20

// greylisted reports whether a triplet has to come again later.
func (p *place) greylisted(triplet uint64, now time.Time) bool {
	if p.b.Greylist == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	first, known := p.greyed[triplet]
	if known {
		return now.Sub(first) < time.Duration(p.b.Greylist)
	}
	if len(p.greyed) >= maxGreyed {
		return false
	}
	if p.greyed == nil {
		p.greyed = map[uint64]time.Time{}
	}
	p.greyed[triplet] = now
	return true
}

// tripletOf hashes what a greylist goes by.
func tripletOf(seed maphash.Seed, client string, sender uint64, recipient []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.WriteString(client) // a maphash can't fail
	_, _ = h.Write(recipient)
	return h.Sum64() ^ sender
}

// row returns the figures of a place.
func (p *place) row() result.Domain {
	d := result.Domain{
		Name: p.name, Policy: p.b.name,
		Delivered: p.n.delivered.Load(), Deferred: p.n.deferred.Load(), Refused: p.n.refused.Load(), Dropped: p.n.dropped.Load(),
		Connections: p.n.connections.Load(), PeakOpen: p.n.peak.Load(), Violations: p.n.violations.Load(),
	}
	p.mu.Lock()
	if p.allowed > 0 {
		d.OfAllowed = float64(p.n.messages.Load()) / (p.allowed + p.b.Limits.Burst)
	}
	p.mu.Unlock()
	d.EndToEnd = p.endToEnd.latency()
	return d
}

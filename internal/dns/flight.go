package dns

import (
	"context"
	"sync"
	"time"

	wire "github.com/miekg/dns"
)

// maxFlights bounds the questions that are waited for, at the servers or before
// them; a further one fails at once with ErrTemporary.
const maxFlights = 8192

// flight is a question that is being asked.
type flight struct {
	done   chan struct{} // closed when answer is set
	answer *answer
}

type flights struct {
	mu     *sync.Mutex // guards following
	all    map[key]*flight
	closed bool
}

func newFlights() flights { return flights{mu: new(sync.Mutex), all: map[key]*flight{}} }

func (f *flights) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// share asks k together with all others who ask it now. The question goes on when
// ctx ends, for the cache and for the others.
func (r *Resolver) share(ctx context.Context, k key) *answer {
	f, err := r.join(k)
	if err != nil {
		return failed(k, err)
	}
	select {
	case <-f.done:
		return f.answer
	case <-ctx.Done():
		return failed(k, context.Cause(ctx))
	}
}

func failed(k key, cause error) *answer {
	return &answer{err: &Error{Kind: ErrTemporary, Record: wire.TypeToString[k.kind], Name: k.name, Cause: cause}}
}

// join returns the flight of k and starts it when there is none.
func (r *Resolver) join(k key) (*flight, error) {
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	if f := r.flights.all[k]; f != nil {
		return f, nil
	}
	switch {
	case r.flights.closed:
		return nil, errClosed
	case len(r.flights.all) >= maxFlights:
		return nil, errBusy
	}
	f := &flight{done: make(chan struct{})}
	r.flights.all[k] = f
	r.wg.Go(func() { r.fly(k, f) })
	return f, nil
}

// fly asks k and hands the answer to all who wait.
func (r *Resolver) fly(k key, f *flight) {
	ctx, cancel := context.WithTimeout(r.ctx, r.o.Total)
	defer cancel()
	select {
	case r.places <- struct{}{}:
		f.answer = r.resolve(ctx, k)
		<-r.places
	case <-ctx.Done():
		f.answer = failed(k, errBusy)
	}
	if k.fresh {
		f.answer.fresh = time.Now().Add(freshLife)
	}
	if r.ctx.Err() == nil { // what fails because of Close says nothing
		r.cache.put(key{name: k.name, kind: k.kind}, f.answer, time.Now())
	}
	r.flights.mu.Lock()
	delete(r.flights.all, k)
	r.flights.mu.Unlock()
	close(f.done)
}

// resolve asks the servers, again for the end of a chain that one of them left open.
func (r *Resolver) resolve(ctx context.Context, k key) *answer {
	a := &answer{authentic: true}
	now := time.Now()
	name, links, ttl := k.name, 0, ^uint32(0)
	for {
		m, from, err := r.ask(ctx, name, k.kind, k.fresh)
		if err != nil {
			return r.failure(k, from, err)
		}
		a.authentic = a.authentic && m.AuthenticatedData
		p, err := follow(m, name, k.kind, links)
		if err != nil {
			return r.failure(k, from, err)
		}
		ttl = min(ttl, p.ttl)
		if len(p.records) > 0 {
			a.fill(p.records)
			if !a.empty() || k.kind == wire.TypeMX {
				a.expires = now.Add(clamp(ttl, r.o.MinTTL, r.o.MaxTTL))
				return a
			}
		}
		negative, known := negativeTTL(m)
		if m.Rcode == wire.RcodeSuccess && p.links > links && !known {
			name, links = p.next, p.links
			continue
		}
		r.negative(a, k, m.Rcode, min(ttl, negative), from)
		return a
	}
}

// negative makes a say that there is none.
func (r *Resolver) negative(a *answer, k key, rcode int, ttl uint32, from string) {
	a.expires = time.Now().Add(clamp(ttl, r.o.MinTTL, r.o.NegativeTTL))
	switch {
	case rcode == wire.RcodeNameError:
		a.err = &Error{Kind: ErrNotFound, Record: wire.TypeToString[k.kind], Name: k.name, Server: from}
	case k.kind == wire.TypeMX: // RFC 5321 section 5.1
		a.implicit, a.hosts = true, []Exchanger{{Host: k.name}}
	default:
		a.err = &Error{Kind: ErrNoData, Record: wire.TypeToString[k.kind], Name: k.name, Server: from}
	}
}

// failure is remembered for a short while, so that what does not work is not asked
// for again and again (RFC 9520 section 3.2).
func (r *Resolver) failure(k key, from string, cause error) *answer {
	a := failed(k, cause)
	a.err.(*Error).Server = from
	a.expires = time.Now().Add(r.o.FailureTTL)
	return a
}

func (a *answer) empty() bool {
	return len(a.addrs)+len(a.texts)+len(a.tlsa)+len(a.services) == 0
}

func clamp(seconds uint32, low, high time.Duration) time.Duration {
	return min(max(time.Duration(seconds)*time.Second, low), high)
}

package dns

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	wire "github.com/miekg/dns"
)

// Rounds over the servers: one that is silent is asked so often, with twice the
// patience each time.
const rounds = 3

// A silent server is asked last for downMin, twice as long each time it is silent
// again, up to downMax.
const (
	downMin = time.Second
	downMax = time.Minute
)

// server is one that is asked.
type server struct {
	address  string
	loopback bool // and so believed about DNSSEC

	silences  atomic.Int32 // in a row
	downUntil atomic.Int64 // nanoseconds of Resolver.start
}

// answered forgets that the server was silent.
func (s *server) answered() {
	s.silences.Store(0)
	s.downUntil.Store(0)
}

func (s *server) silent(now time.Duration) {
	n := min(s.silences.Add(1)-1, 10)
	s.downUntil.Store(int64(now + min(downMin<<n, downMax)))
}

// order returns the servers as they are to be asked: those that are down last. A
// fresh question begins with the second.
func (r *Resolver) order(fresh bool, now time.Duration) []*server {
	out := make([]*server, 0, len(r.servers))
	for _, down := range []bool{false, true} {
		for _, s := range r.servers {
			if (s.downUntil.Load() > int64(now)) == down {
				out = append(out, s)
			}
		}
		if !down && fresh && len(out) > 1 {
			out = append(out[1:], out[0])
		}
	}
	return out
}

// ask returns the answer of the first server that has one: a message with NOERROR or
// NXDOMAIN. Those that have none for this question are asked once, silent ones again.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16, fresh bool) (m *wire.Msg, from string, err error) {
	servers := r.order(fresh, time.Since(r.start))
	for round := range rounds {
		left := servers[:0]
		for _, s := range servers {
			from = s.address
			m, err = r.try(ctx, s, name, kind, r.o.Timeout<<round)
			if err == nil {
				return m, from, nil
			}
			if ctx.Err() != nil {
				return nil, from, err
			}
			if refused := (*refusal)(nil); !errors.As(err, &refused) {
				left = append(left, s)
			}
		}
		if servers = left; len(servers) == 0 {
			break
		}
	}
	return nil, from, err
}

// refusal is an answer that is none: the server will not say more if asked again.
type refusal struct{ what string }

func (e *refusal) Error() string { return e.what }

// try asks one server once, and says whether its answer is of use.
func (r *Resolver) try(ctx context.Context, s *server, name string, kind uint16, timeout time.Duration) (*wire.Msg, error) {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := r.exchange(ctx, s, question(name, kind, s.loopback))
	if err == nil && (m.Rcode == wire.RcodeFormatError || m.Rcode == wire.RcodeNotImplemented) {
		q := question(name, kind, s.loopback) // RFC 6891 section 7: it may not know EDNS
		q.Extra = nil
		m, err = r.exchange(ctx, s, q)
	}
	if err != nil {
		if refused := (*refusal)(nil); !errors.As(err, &refused) && whole.Err() == nil {
			s.silent(time.Since(r.start))
		}
		return nil, err
	}
	s.answered()
	switch {
	case m.Rcode != wire.RcodeSuccess && m.Rcode != wire.RcodeNameError:
		return nil, &refusal{fmt.Sprintf("the answer is %s", wire.RcodeToString[m.Rcode])}
	case !m.RecursionAvailable && !m.Authoritative: // it can't know
		return nil, &refusal{"the server does no recursion"}
	}
	m.AuthenticatedData = m.AuthenticatedData && s.loopback
	return m, nil
}

package dns

import (
	"context"
	"slices"
	"strings"

	wire "github.com/miekg/dns"
)

// Service is where a service of a domain is (RFC 2782).
type Service struct {
	Host             string // in lower case without a dot at its end; "": the domain does not have the service
	Port             uint16
	Priority, Weight uint16
}

// Services are the SRV records of a name, by priority, then as their weights say on
// the average. The slice is shared: only to be read.
type Services struct {
	Services []Service
	Facts
}

// SRV returns the services of a name such as "_pop3s._tcp.example.org".
func (r *Resolver) SRV(ctx context.Context, name string) (Services, error) {
	a, now := r.lookup(ctx, name, wire.TypeSRV)
	if err := a.err; err != nil {
		return Services{}, err
	}
	return Services{Services: a.services, Facts: a.facts(now)}, nil
}

func (a *answer) addService(v *wire.SRV) {
	if len(a.services) >= MaxTexts {
		return
	}
	s := Service{Port: v.Port, Priority: v.Priority, Weight: v.Weight}
	if v.Target != "." { // RFC 2782: the service is decidedly not available at this domain
		host, ok := hostName(v.Target)
		if !ok {
			return
		}
		s.Host = host
	}
	at, _ := slices.BinarySearchFunc(a.services, s, func(x, y Service) int {
		if x.Priority != y.Priority {
			return int(x.Priority) - int(y.Priority)
		}
		if x.Weight != y.Weight {
			return int(y.Weight) - int(x.Weight)
		}
		if c := strings.Compare(x.Host, y.Host); c != 0 {
			return c
		}
		return int(x.Port) - int(y.Port)
	})
	a.services = slices.Insert(a.services, at, s)
}

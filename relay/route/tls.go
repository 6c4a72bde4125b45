package route

import (
	"bytes"
	"net"

	"postrider/internal/mail"
)

// Policy is the protection of connections for some domains.
type Policy struct {
	// Domain is an exact domain, ".suffix" for every domain below it, or "*".
	Domain string
	TLS    mail.TLSPolicy // Origin is set by New
}

// originPolicy is what the log calls a policy of the configuration.
const originPolicy = "policy"

// policies answer with the most exact policy, whatever their order: of security
// nobody should have to ask which line stands first.
type policies struct {
	exact  map[string]mail.TLSPolicy
	suffix map[string]mail.TLSPolicy // without the leading dot
	all    mail.TLSPolicy
}

func newPolicies(list []Policy) policies {
	p := policies{exact: make(map[string]mail.TLSPolicy), suffix: make(map[string]mail.TLSPolicy)}
	for _, x := range list {
		x.TLS.Origin = originPolicy
		switch domain := lower(x.Domain); {
		case domain == "*":
			p.all = x.TLS
		case len(domain) > 0 && domain[0] == '.':
			p.suffix[domain[1:]] = x.TLS
		default:
			p.exact[domain] = x.TLS
		}
	}
	return p
}

func (p *policies) find(domain []byte) mail.TLSPolicy {
	if x, ok := p.exact[string(domain)]; ok {
		return x
	}
	for rest := domain; len(p.suffix) > 0; {
		i := bytes.IndexByte(rest, '.')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		if x, ok := p.suffix[string(rest)]; ok {
			return x
		}
	}
	return p.all
}

// hopTLS is the policy for a hop that is named, by its host. Other kinds, and
// sockets of this machine, have none.
func (t *Table) hopTLS(h mail.Hop) mail.TLSPolicy {
	if h.Kind != mail.HopSMTP {
		return mail.TLSPolicy{}
	}
	host, _, err := net.SplitHostPort(h.Address)
	if err != nil {
		host = h.Address
	}
	return t.policies.find([]byte(lower(host)))
}

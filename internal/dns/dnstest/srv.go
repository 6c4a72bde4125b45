package dnstest

import "github.com/miekg/dns"

// AddSRV says where a service is (RFC 2782): name is "_pop3s._tcp.<domain>", host ""
// for a service that the domain does not have.
func (s *Server) AddSRV(name string, priority, weight, port uint16, host string) {
	s.add(&dns.SRV{Hdr: header(name, dns.TypeSRV), Priority: priority, Weight: weight, Port: port, Target: dns.Fqdn(canonical(host))})
}

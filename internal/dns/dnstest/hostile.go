package dnstest

import (
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// send writes the answer, or what a server writes in its place that is broken or not
// the one that was asked.
func (s *Server) send(w dns.ResponseWriter, m *dns.Msg, fault Kind, udp bool) {
	switch fault {
	case NoTCP:
		if !udp {
			_ = w.Close() // has gone when this fails
			return
		}
		m.Truncated, m.Answer, m.Ns = true, nil, nil
	case NoEDNS:
		if m.IsEdns0() != nil {
			m.Rcode, m.Answer, m.Ns, m.Extra, m.AuthenticatedData = dns.RcodeFormatError, nil, nil, nil, false
		}
	case WrongID:
		m.Id ^= 1
	case WrongQuestion:
		m.Question[0].Name = "other." + m.Question[0].Name
	case Garbage:
		_, _ = w.Write([]byte{byte(m.Id >> 8), byte(m.Id), 0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0x0c, 0xff})
		return
	case Spoofed, Flood:
		if !udp {
			break
		}
		wrong := m.Copy()
		for i := range 16 {
			if i == 4 && fault == Spoofed {
				break
			}
			wrong.Id, wrong.Question[0].Name = m.Id, m.Question[0].Name
			if i%2 == 0 {
				wrong.Id ^= uint16(i + 1)
			} else {
				wrong.Question[0].Name = "other." + m.Question[0].Name
			}
			_ = w.WriteMsg(wrong)
		}
		if fault == Flood {
			return
		}
	default:
	}
	_ = w.WriteMsg(m) // who does not read it has gone
}

// AddBomb makes a domain that costs whoever looks it up: so many exchangers, each
// another name of another name and so on for chain links, at whose end there are
// hosts with so many addresses. Exchanger i is x<i>.<domain> at preference i.
func (s *Server) AddBomb(domain string, exchangers, addresses, chain int) {
	domain = canonical(domain)
	var mx []MX
	for i := range exchangers {
		var addrs []netip.Addr
		for a := range addresses {
			addrs = append(addrs, netip.AddrFrom4([4]byte{203, 0, 113, byte(a)}))
		}
		host := fmt.Sprintf("x%d.%s", i, domain)
		mx = append(mx, MX{Preference: uint16(i), Host: host})
		for link := range chain {
			next := fmt.Sprintf("l%d.x%d.%s", link, i, domain)
			s.AddCNAME(host, next)
			host = next
		}
		s.AddHost(host, addrs...)
	}
	s.AddMail(domain, mx...)
}

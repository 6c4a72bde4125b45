package autoconfig

import (
	"bytes"
	"encoding/xml"
	"slices"
)

// The page, in the order of elements that its definition has.
type clientConfig struct {
	XMLName  xml.Name      `xml:"clientConfig"`
	Version  string        `xml:"version,attr"`
	Provider emailProvider `xml:"emailProvider"`
}

type emailProvider struct {
	ID        string        `xml:"id,attr"`
	Domain    string        `xml:"domain"`
	Name      string        `xml:"displayName"`
	ShortName string        `xml:"displayShortName"`
	Incoming  []serverEntry `xml:"incomingServer"`
	Outgoing  []serverEntry `xml:"outgoingServer"`
}

type serverEntry struct {
	Type           Kind     `xml:"type,attr"`
	Hostname       string   `xml:"hostname"`
	Port           uint16   `xml:"port"`
	SocketType     Security `xml:"socketType"`
	Authentication string   `xml:"authentication"`
	Username       string   `xml:"username"`
}

// page makes it for one domain. Mail programs take the first server that they can
// use: IMAP before POP3, and TLS from the first octet before STARTTLS (RFC 8314
// section 3).
func page(domain, name string, servers []Server) ([]byte, error) {
	if name == "" {
		name = domain
	}
	p := emailProvider{ID: domain, Domain: domain, Name: name, ShortName: name}
	for _, s := range sorted(servers) {
		entry := serverEntry{
			Type: s.Kind, Hostname: s.Host, Port: s.Port, SocketType: s.Security,
			// The password goes as it is, in the encrypted connection. What the page calls
			// password-encrypted is CRAM-MD5, which would need it in clear at rest.
			Authentication: "password-cleartext",
			Username:       "%EMAILADDRESS%", // which the program fills in
		}
		if s.Kind == Submission {
			p.Outgoing = append(p.Outgoing, entry)
		} else {
			p.Incoming = append(p.Incoming, entry)
		}
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(clientConfig{Version: "1.1", Provider: p}); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// sorted returns servers in the order in which they are best tried.
func sorted(servers []Server) []Server {
	rank := func(s Server) (n int) {
		if s.Kind == POP3 {
			n = 2
		}
		if s.Security != TLS {
			n++
		}
		return n
	}
	list := slices.Clone(servers)
	slices.SortStableFunc(list, func(a, b Server) int { return rank(a) - rank(b) })
	return list
}

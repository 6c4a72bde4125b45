package ldapdb

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// person is an entry of the made-up directory.
type person struct {
	dn, password string
	filter       string // that finds it
	attributes   map[string][]string
	result       uint16 // of a bind, when not 0
}

// directory is an LDAP server as far as this package needs one.
type directory struct {
	t       *testing.T
	people  []person
	tls     *tls.Config
	address string
	listen  net.Listener
	all     sync.WaitGroup

	mu       sync.Mutex // guards following
	conns    map[net.Conn]bool
	opened   int
	binds    int
	searches int
	filters  []string
	silent   bool   // takes requests and says nothing
	result   uint16 // of every search, when not 0
}

// startDirectory serves on loopback until the test ends. Its address must be a name
// of the certificate: 127.0.0.1.
func startDirectory(t *testing.T, implicitTLS bool, people ...person) (*directory, *x509.CertPool) {
	t.Helper()
	certificate, roots := selfSigned(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &directory{t: t, people: people, address: l.Addr().String(), conns: map[net.Conn]bool{},
		tls: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	if implicitTLS {
		l = tls.NewListener(l, d.tls)
	}
	d.listen = l
	d.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.conns[c] = true
			d.opened++
			d.mu.Unlock()
			d.all.Go(func() { d.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.hangUp()
		d.all.Wait()
	})
	return d, roots
}

// hangUp ends every connection, as a restart does.
func (d *directory) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		_ = c.Close()
		delete(d.conns, c)
	}
}

func (d *directory) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *directory) counts() (opened, binds, searches int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened, d.binds, d.searches
}

func (d *directory) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	raw := c
	for {
		request, err := ber.ReadPacket(c)
		if err != nil || len(request.Children) < 2 {
			return
		}
		id, op := request.Children[0].Value.(int64), request.Children[1]
		d.mu.Lock()
		silent := d.silent
		d.mu.Unlock()
		if silent {
			continue
		}
		switch op.Tag {
		case ldap.ApplicationUnbindRequest:
			return
		case ldap.ApplicationExtendedRequest:
			d.answer(c, id, ldap.ApplicationExtendedResponse, ldap.LDAPResultSuccess)
			c = tls.Server(raw, d.tls)
		case ldap.ApplicationBindRequest:
			d.answer(c, id, ldap.ApplicationBindResponse, d.bind(op.Children[1].Value.(string), op.Children[2].Data.String()))
		case ldap.ApplicationSearchRequest:
			d.search(c, id, op)
		}
	}
}

func (d *directory) bind(dn, password string) uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.binds++
	if password == "" {
		return ldap.LDAPResultSuccess // as the standard has it: nobody in particular
	}
	for _, p := range d.people {
		if p.dn == dn && p.result != 0 {
			return p.result
		}
		if p.dn == dn && p.password == password {
			return ldap.LDAPResultSuccess
		}
	}
	return ldap.LDAPResultInvalidCredentials
}

func (d *directory) search(c net.Conn, id int64, op *ber.Packet) {
	filter, err := ldap.DecompileFilter(op.Children[6])
	if err != nil {
		d.t.Errorf("filter: %v", err)
	}
	d.mu.Lock()
	d.searches++
	d.filters = append(d.filters, filter)
	result := d.result
	d.mu.Unlock()
	for _, p := range d.people {
		if p.filter != filter || result != 0 {
			continue
		}
		entry := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
		entry.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, p.dn, ""))
		attributes := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		for _, wanted := range op.Children[7].Children {
			values, has := p.attributes[wanted.Value.(string)]
			if !has {
				continue
			}
			one := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
			one.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, wanted.Value.(string), ""))
			set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
			for _, v := range values {
				set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v, ""))
			}
			one.AppendChild(set)
			attributes.AppendChild(one)
		}
		entry.AppendChild(attributes)
		d.send(c, id, entry)
	}
	d.answer(c, id, ldap.ApplicationSearchResultDone, result)
}

// answer sends an LDAPResult (RFC 4511 section 4.1.9).
func (d *directory) answer(c net.Conn, id int64, tag ber.Tag, code uint16) {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	d.send(c, id, op)
}

func (d *directory) send(c net.Conn, id int64, op *ber.Packet) {
	m := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	m.AppendChild(op)
	_, _ = c.Write(m.Bytes()) // a client that went away is no matter
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

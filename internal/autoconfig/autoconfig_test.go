package autoconfig

import (
	"bufio"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wellKnown = "/.well-known/autoconfig/mail/config-v1.1.xml"

func options() Options {
	return Options{
		Domains: func() []string { return []string{"example.org", "Bücher.example"} },
		Servers: func() []Server {
			return []Server{
				{POP3, "mail.example.org", 110, STARTTLS}, {Submission, "mail.example.org", 587, STARTTLS},
				{POP3, "mail.example.org", 995, TLS}, {IMAP, "mail.example.org", 143, STARTTLS},
				{Submission, "mail.example.org", 465, TLS}, {IMAP, "mail.example.org", 993, TLS},
			}
		},
	}
}

func ask(t *testing.T, s *HTTP, method, target string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Result()
}

// understood is what a mail program makes of the page: it walks through the elements
// and keeps, for each server, what it needs of it in the order in which it came.
func understood(t *testing.T, r io.Reader) (servers []string, order []string) {
	t.Helper()
	d := xml.NewDecoder(r)
	var path, text []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			return servers, order
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			path = append(path, e.Name.Local)
			if len(path) == 3 {
				order = append(order, e.Name.Local)
			}
			for _, a := range e.Attr {
				text = append(text, e.Name.Local+" "+a.Name.Local+"="+a.Value)
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(e)); s != "" {
				text = append(text, path[len(path)-1]+"="+s)
			}
		case xml.EndElement:
			path = path[:len(path)-1]
			if len(path) == 2 {
				servers = append(servers, strings.Join(text, " "))
				text = nil
			}
		}
	}
}

// The page has what a mail program needs, the best server first.
func TestPage(t *testing.T) {
	s := New(options())
	for _, target := range []string{
		"http://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=ann%40example.org",
		"http://example.org" + wellKnown + "?emailaddress=ann@EXAMPLE.org",
		"http://10.0.0.1/mail/config-v1.1.xml?x=1&emailaddress=nobody.knows@example.org",
		"http://autoconfig.example.org:8080/mail/config-v1.1.xml",
		"http://example.org" + wellKnown,
	} {
		r := ask(t, s, http.MethodGet, target)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/xml; charset=utf-8" {
			t.Errorf("%s: %d %s", target, r.StatusCode, r.Header)
			continue
		}
		servers, order := understood(t, r.Body)
		if got, want := strings.Join(order, " "), "domain displayName displayShortName incomingServer incomingServer incomingServer incomingServer outgoingServer outgoingServer"; got != want {
			t.Errorf("elements are %s", got)
		}
		common := " authentication=password-cleartext username=%EMAILADDRESS%"
		want := []string{
			"clientConfig version=1.1 emailProvider id=example.org domain=example.org", "displayName=example.org", "displayShortName=example.org",
			"incomingServer type=imap hostname=mail.example.org port=993 socketType=SSL" + common,
			"incomingServer type=imap hostname=mail.example.org port=143 socketType=STARTTLS" + common,
			"incomingServer type=pop3 hostname=mail.example.org port=995 socketType=SSL" + common,
			"incomingServer type=pop3 hostname=mail.example.org port=110 socketType=STARTTLS" + common,
			"outgoingServer type=smtp hostname=mail.example.org port=465 socketType=SSL" + common,
			"outgoingServer type=smtp hostname=mail.example.org port=587 socketType=STARTTLS" + common,
		}
		if got := strings.Join(servers, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%s: understood\n%s\nwant\n%s", target, got, strings.Join(want, "\n"))
		}
	}
}

// What is refused, and with what.
func TestRefused(t *testing.T) {
	var seen []int
	o := options()
	o.Observe = func(status int) { seen = append(seen, status) }
	s := New(o)
	page := "/mail/config-v1.1.xml?emailaddress=ann@example.org"
	for _, one := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/", 404},
		{"GET", "/mail/", 404},
		{"GET", "/mail/config-v1.1.xml/?emailaddress=ann@example.org", 404},
		{"GET", "/mail/../mail/config-v1.1.xml?emailaddress=ann@example.org", 404},
		{"GET", "/metrics", 404},
		{"GET", "/healthz", 404},
		{"POST", "/debug/pprof/", 404},
		{"POST", page, 405},
		{"PUT", page, 405},
		{"OPTIONS", page, 405},
		{"DELETE", wellKnown, 405},
		{"GET", "/mail/config-v1.1.xml?emailaddress=ann@example.com", 404},
		{"GET", "/mail/config-v1.1.xml?emailaddress=ann@sub.example.org", 404},
		{"GET", "http://autoconfig.example.com/mail/config-v1.1.xml", 404},
		{"GET", "http://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=", 400},
		{"GET", "/mail/config-v1.1.xml?emailaddress=ann", 400},
		{"GET", "/mail/config-v1.1.xml?emailaddress=@example.org", 400},
		{"GET", "/mail/config-v1.1.xml?emailaddress=ann@", 400},
		{"GET", "/mail/config-v1.1.xml?emailaddress=ann@exa%20mple.org", 400},
		{"GET", page + "&x=" + strings.Repeat("x", maxQueryBytes), 414},
		{"HEAD", page, 200},
		{"GET", "/mail/config-v1.1.xml?emailaddress=ann@b%C3%BCcher.example", 200},
		{"GET", "/mail/config-v1.1.xml?emailaddress=ann@xn--bcher-kva.example", 200},
	} {
		r := ask(t, s, one.method, one.target)
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != one.status {
			t.Errorf("%s %s: %d, %v; want %d", one.method, one.target, r.StatusCode, err, one.status)
		}
		if one.method == "HEAD" && len(body) != 0 || strings.Contains(string(body), "ann") {
			t.Errorf("%s %s: the answer is %q", one.method, one.target, body)
		}
		if one.status == 405 && r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow is %q", one.method, one.target, r.Header.Get("Allow"))
		}
		if len(seen) == 0 || seen[len(seen)-1] != one.status {
			t.Errorf("observed %v", seen)
		}
	}
}

// Names of the configuration cannot break the page.
func TestEscaped(t *testing.T) {
	body, err := page("example.org", `Ann & Söhne <GmbH>`, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := understood(t, strings.NewReader(string(body)))
	if len(got) != 3 || got[1] != "displayName=Ann & Söhne <GmbH>" {
		t.Errorf("understood %q", got)
	}
}

// Over a real connection: a request with much in its head and one connection too many
// are turned away, and Close ends Serve.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Connections = 3
	s := New(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	request := func(c net.Conn, more string) string {
		if _, err := io.WriteString(c, "GET /mail/config-v1.1.xml?emailaddress=ann@example.org HTTP/1.1\r\nHost: x\r\n"+more+"\r\n"); err != nil {
			return err.Error()
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err.Error()
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		return r.Status
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	var open []net.Conn
	for range 3 {
		c := dial()
		if got := request(c, ""); got != "200 OK" {
			t.Fatalf("got %s", got)
		}
		open = append(open, c)
	}
	if got := request(dial(), ""); got == "200 OK" {
		t.Error("there was a place for a fourth connection")
	}
	if got := request(open[0], "X: "+strings.Repeat("x", 20<<10)+"\r\n"); got != "431 Request Header Fields Too Large" {
		t.Errorf("got %s", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

// manyConns is a listener whose connections come from where the test says.
type manyConns struct{ from []string }

type fakeConn struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.from }
func (c *fakeConn) Close() error         { c.closed = true; return nil }

func (m *manyConns) Accept() (net.Conn, error) {
	if len(m.from) == 0 {
		return nil, net.ErrClosed
	}
	a := netip.MustParseAddrPort(m.from[0])
	m.from = m.from[1:]
	return &fakeConn{from: net.TCPAddrFromAddrPort(a)}, nil
}
func (m *manyConns) Close() error   { return nil }
func (m *manyConns) Addr() net.Addr { return nil }

// A client has few connections, a proxy on this machine as many as there are.
func TestPerClient(t *testing.T) {
	m := &manyConns{}
	l := newListener(m, 6, 2)
	accept := func(want int, from ...string) (got []net.Conn) {
		t.Helper()
		m.from = from
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			got = append(got, c)
		}
		if len(got) != want {
			t.Fatalf("%d of %v have a place, want %d", len(got), from, want)
		}
		return got
	}
	first := accept(2, "192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3", "192.0.2.1:4")
	accept(4, "192.0.2.2:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4")
	for range 2 { // the second does nothing
		if err := first[0].Close(); err != nil {
			t.Error(err)
		}
	}
	accept(1, "192.0.2.1:5", "192.0.2.3:6")
}

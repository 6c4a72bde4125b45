package autoconfig

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
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

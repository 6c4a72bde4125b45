package autoconfig

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"
)

// Whatever is asked, the answer is the one page or none.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{"emailaddress=ann@example.org", "emailaddress=%40", "%zz", "emailaddress=a@example.org&emailaddress=b@x", ";", ""} {
		f.Add("/mail/config-v1.1.xml", seed, "autoconfig.example.org:80")
	}
	s := New(options())
	want, err := page("example.org", "", s.o.Servers())
	if err != nil {
		f.Fatal(err)
	}
	other, err := page("xn--bcher-kva.example", "", s.o.Servers())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, query, host string) {
		status, body := s.answer(&http.Request{Method: http.MethodGet, Host: host, URL: &url.URL{Path: path, RawQuery: query}})
		if status == http.StatusOK != (bytes.Equal(body, want) || bytes.Equal(body, other)) {
			t.Errorf("%d with %q", status, body)
		}
		if known := paths(); status == http.StatusOK && path != known[0] && path != known[1] {
			t.Errorf("the path %q is served", path)
		}
	})
}

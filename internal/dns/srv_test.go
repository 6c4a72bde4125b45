package dns_test

import (
	"fmt"
	"testing"

	"postrider/internal/dns"
	"postrider/internal/dns/dnstest"
)

// Services come in the order in which they are tried; one that a domain does not have
// is told from one that nobody says anything of.
func TestSRV(t *testing.T) {
	s := serve(t, dnstest.Options{})
	s.AddMail("a.test")
	s.AddSRV("_pop3s._tcp.a.test", 10, 1, 995, "Backup.a.test")
	s.AddSRV("_pop3s._tcp.a.test", 0, 1, 1995, "mail.a.test")
	s.AddSRV("_pop3s._tcp.a.test", 0, 5, 995, "mail.a.test")
	s.AddSRV("_imap._tcp.a.test", 0, 0, 0, "")
	s.AddSRV("_bad._tcp.a.test", 0, 0, 25, "192.0.2.1")
	r := resolver(t, dns.Options{}, s)
	for name, want := range map[string]string{
		"_pop3s._tcp.a.test": "[{mail.a.test 995 0 5} {mail.a.test 1995 0 1} {backup.a.test 995 10 1}] ok",
		"_imap._tcp.a.test":  "[{ 0 0 0}] ok",
		"_bad._tcp.a.test":   "[] no data",
		"_smtp._tcp.a.test":  "[] not found",
		"a.test":             "[] no data",
	} {
		for range 2 { // once from the server, once from the cache
			got, err := r.SRV(t.Context(), name)
			if text := fmt.Sprint(got.Services, " ", outcome(err)); text != want {
				t.Errorf("%s: %s, want %s", name, text, want)
			}
		}
	}
}

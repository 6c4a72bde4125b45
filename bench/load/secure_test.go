package load_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/bench/load"
)

// Secured and logged in by every mechanism, with sessions resumed or not, by DATA
// or BDAT, texts arrive at an independent server.
func TestTLSAndAuth(t *testing.T) {
	for _, mode := range []load.TLSMode{load.StartTLS, load.ImplicitTLS} {
		for _, mech := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"} {
			for _, full := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v %s %v", mode, mech, full), func(t *testing.T) {
					b, addr := startGoSMTP(t, mode == load.ImplicitTLS)
					shape, err := load.ParseShape("mime,smtputf8,signed")
					if err != nil {
						t.Fatal(err)
					}
					r := run(t, load.Options{
						Address: addr, Messages: 6, PerConnection: 2, Timeout: 5 * time.Second, TLS: mode, NoResumption: full, BDAT: full, Shape: shape, Pace: pace(t, "poisson:1000"),
						Auth: load.Auth{Mechanism: mech, User: "u%d@go.test", Users: 2, Password: "secret"},
					})
					if r.Accepted != 6 || r.Err != nil || b.rcpts != 6 || b.utf8 != 6 || len(b.texts) != 6 {
						t.Fatalf("%+v, %d texts", r, len(b.texts))
					}
					want := int64(2)
					if full {
						want = 0
					}
					if r.Resumed != want || r.Connections != 3 {
						t.Errorf("%d of %d resumed", r.Resumed, r.Connections)
					}
					if got := strings.Join(b.logins, ", "); got != fmt.Sprintf("%[1]s u0@go.test, %[1]s u1@go.test, %[1]s u0@go.test", mech) {
						t.Error(got)
					}
				})
			}
		}
	}
}

// A wrong password, a server without TLS, or one without what the texts need, is
// a failure.
func TestOpenFails(t *testing.T) {
	_, secure := startGoSMTP(t, false)
	plain := (&fake{}).start(t)
	utf8, _ := load.ParseShape("smtputf8")
	for name, o := range map[string]load.Options{
		"password":  {Address: secure, Auth: load.Auth{Mechanism: "PLAIN", User: "u", Password: "x"}},
		"scram":     {Address: secure, Auth: load.Auth{Mechanism: "SCRAM-SHA-256", User: "u", Password: "x"}},
		"untrusted": {Address: secure, TLS: load.StartTLS, TLSConfig: &tls.Config{}},
		"no tls":    {Address: plain, TLS: load.ImplicitTLS, Timeout: 200 * time.Millisecond},
		"no utf8":   {Address: plain, Shape: utf8},
		"no bdat":   {Address: plain, BDAT: true},
	} {
		o.Messages, o.Failures = 1, 1
		if r := run(t, o); r.Err == nil || r.Accepted != 0 || r.Failures != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

package auth_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
)

// crowd is n users with the same password and our own stored form.
func crowd(tb testing.TB, n int) users {
	tb.Helper()
	form, err := password.Hash([]byte("right"))
	if err != nil {
		tb.Fatal(err)
	}
	db := make(users, n)
	for i := range n {
		name := fmt.Sprintf("user%d@isp.example", i)
		db[name] = &auth.Entry{Name: name, Hash: form}
	}
	return db
}

// BenchmarkFirstLogins is the first wave after a start: each login is of another
// user, 64 sessions at a time, all cores but the half that hashes are free.
func BenchmarkFirstLogins(b *testing.B) {
	a := auth.New(auth.Options{Databases: []auth.Database{crowd(b, b.N)}})
	defer a.Close()
	wave(b, a, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}

// BenchmarkSecondLogins is the wave after it: 10,000 users whose login is
// remembered.
func BenchmarkSecondLogins(b *testing.B) {
	const n = 10_000
	db := crowd(b, n)
	for _, e := range db {
		e.Hash = "{SSHA}Q0dAUNYieUEh8DjAxxd1rE959TVzYWx0" // quick to remember, and as long to look for
	}
	a := auth.New(auth.Options{Databases: []auth.Database{db}})
	defer a.Close()
	b.ReportAllocs()
	wave(b, a, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}

// wave logs users in by turns.
func wave(b *testing.B, a *auth.Authenticator, n int) {
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		all.Go(func() {
			at := &auth.Attempt{Protocol: "pop3", Client: netip.MustParseAddr("192.0.2.1"), TLS: true}
			name := make([]byte, 0, 32)
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				name = fmt.Appendf(name[:0], "user%d@isp.example", i%10_000)
				if _, err := a.Password(b.Context(), at, string(name), []byte("right")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// A login that is remembered allocates the user who is returned, and nothing else.
func TestRememberedLoginAllocates(t *testing.T) {
	a := auth.New(auth.Options{Databases: []auth.Database{crowd(t, 1)}})
	defer a.Close()
	at, plain := attempt("pop3"), []byte("right")
	login := func() {
		if _, err := a.Password(t.Context(), at, "user0@isp.example", plain); err != nil {
			t.Fatal(err)
		}
	}
	login()
	if n := testing.AllocsPerRun(1000, login); n > 2 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

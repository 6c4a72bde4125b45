package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/auth"
)

// quick is a database whose passwords are quick to check, so that the limits are all
// that a test waits for.
type quick users

func (q quick) Lookup(ctx context.Context, name string) (*auth.Entry, error) {
	return users(q).Lookup(ctx, name)
}

func (quick) Decoy(string) string { return "{PLAIN}nothing" }

// guessed is a world of one user, whose form is quick to check, and a clock.
type guessed struct {
	t *testing.T
	a *auth.Authenticator

	mu      sync.Mutex // guards following
	reasons map[auth.Reason]int
	longest time.Duration
}

const owner = "192.0.2.9"

func world(t *testing.T, l auth.Limits) *guessed {
	g := &guessed{t: t, reasons: make(map[auth.Reason]int)}
	g.a = auth.New(auth.Options{
		Databases: []auth.Database{quick{"ann@isp.example": {Name: "ann@isp.example", Hash: "{PLAIN}right"}}},
		Limits:    l,
		Observe: func(o *auth.Outcome) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.reasons[o.Reason]++
			g.longest = max(g.longest, o.Delay)
		},
	})
	return g
}

func (g *guessed) guess(protocol, client, name, plain string) error {
	_, err := g.a.Password(g.t.Context(), &auth.Attempt{Protocol: protocol, Client: netip.MustParseAddr(client)}, name, []byte(plain))
	return err
}

// protocols returns one of the protocols by turns.
func protocol(i int) string { return [...]string{"smtp", "pop3", "imap"}[i%3] }

// A thousand guesses from one address, one after the other over all protocols: the
// answers get slower, then they are refused unheard, even with the right password;
// other addresses do not notice, and time forgives.
//
// Covers A9, HR4.
func TestGuessesFromOneAddress(t *testing.T) {
	for _, name := range []string{"ann@isp.example", "nobody@isp.example"} {
		synctest.Test(t, func(t *testing.T) {
			g := world(t, auth.Limits{})
			defer g.a.Close()
			began := time.Now()
			for i := range 1000 {
				err := g.guess(protocol(i), "198.51.100.7", name, fmt.Sprint("guess", i))
				if !errors.Is(err, auth.ErrCredentials) && !errors.Is(err, auth.ErrThrottled) {
					t.Fatal(err)
				}
			}
			took := time.Since(began)
			looked := g.reasons[auth.BadPassword] + g.reasons[auth.UnknownUser]
			if allowed := 20 + int(took/(30*time.Second)) + 1; looked > allowed || looked < 20 {
				t.Errorf("%s: %d guesses were looked at in %v, %d are allowed", name, looked, took, allowed)
			}
			if g.longest != 8*time.Second {
				t.Errorf("%s: the longest delay was %v", name, g.longest)
			}
			if g.reasons[auth.Throttled] != 1000-looked {
				t.Errorf("%s: %v", name, g.reasons)
			}
			if err := g.guess("pop3", "198.51.100.7", "ann@isp.example", "right"); !errors.Is(err, auth.ErrThrottled) {
				t.Errorf("the right password in between: %v", err)
			}
			if err := g.guess("pop3", "198.51.100.8", "ann@isp.example", "right"); err != nil {
				t.Errorf("a neighbour: %v", err)
			}
			time.Sleep(time.Minute)
			if err := g.guess("pop3", "198.51.100.7", "ann@isp.example", "right"); err != nil {
				t.Errorf("after a minute: %v", err)
			}
		})
	}
}

// One guess from each of a thousand addresses, on one user, over all protocols:
// strangers are soon refused, the owner is not where he logged in from before.
//
// Covers A9, HR4.
func TestGuessesFromAThousandAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := world(t, auth.Limits{})
		defer g.a.Close()
		if err := g.guess("imap", owner, "ann@isp.example", "right"); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 1000 { // at the same moment
			all.Go(func() {
				_ = g.guess(protocol(i), fmt.Sprintf("198.%d.%d.7", 18+i/250, i%250), "ann@isp.example", fmt.Sprint("guess", i))
			})
		}
		all.Wait()
		// So many can be checked between the question and the count.
		if looked := g.reasons[auth.BadPassword]; looked < 50 || looked > 60 {
			t.Errorf("%d guesses were looked at", looked)
		}
		if err := g.guess("smtp", "203.0.113.5", "ann@isp.example", "right"); !errors.Is(err, auth.ErrThrottled) {
			t.Errorf("the owner from an address that was never seen: %v", err)
		}
		for i := range 3 {
			if err := g.guess(protocol(i), owner, "ann@isp.example", "right"); err != nil {
				t.Errorf("the owner, by %s: %v", protocol(i), err)
			}
		}
		time.Sleep(2 * time.Minute)
		if err := g.guess("smtp", "203.0.113.5", "ann@isp.example", "right"); err != nil {
			t.Errorf("the owner from elsewhere, after the attack: %v", err)
		}
	})
}

// Who shares the owner's address cannot guess on without a bound, and cannot lock
// others there out.
//
// Covers HR4.
func TestGuessesFromTheKnownAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := world(t, auth.Limits{Delay: -1})
		defer g.a.Close()
		if err := g.guess("imap", owner, "ann@isp.example", "right"); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			_ = g.guess("imap", owner, "ann@isp.example", fmt.Sprint("guess", i))
		}
		if looked := g.reasons[auth.BadPassword]; looked != 20 {
			t.Errorf("%d guesses were looked at", looked)
		}
		if err := g.guess("pop3", owner, "bob@isp.example", "wrong"); !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("another user there: %v", err)
		}
	})
}

// A program that has an old password does not use up what strangers may guess.
func TestRepeatedGuessIsNoNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := world(t, auth.Limits{Delay: -1, PerAddress: auth.Allowance{Burst: -1}, PerNetwork: auth.Allowance{Burst: -1}})
		defer g.a.Close()
		for range 200 {
			if err := g.guess("imap", "203.0.113.5", "ann@isp.example", "old"); !errors.Is(err, auth.ErrCredentials) {
				t.Fatal(err)
			}
		}
		if err := g.guess("imap", "203.0.113.6", "ann@isp.example", "right"); err != nil {
			t.Error(err)
		}
	})
}

// Networks are counted too: a /24 or a /48 that spreads its guesses over users and
// addresses.
//
// Covers A9.
func TestGuessesFromANetwork(t *testing.T) {
	for _, c := range []struct{ format, within, without string }{
		{"198.51.100.%d", "198.51.100.255", "198.51.101.1"},
		{"::ffff:198.51.100.%d", "198.51.100.255", "198.51.101.1"},
		{"2001:db8:7:%x::1", "2001:db8:7:ffff::1", "2001:db8:8::1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := world(t, auth.Limits{Delay: -1})
			defer g.a.Close()
			for i := range 200 {
				_ = g.guess(protocol(i), fmt.Sprintf(c.format, i), fmt.Sprintf("user%d@isp.example", i), "guess")
			}
			if looked := g.reasons[auth.UnknownUser]; looked != 100 {
				t.Errorf("%s: %d guesses were looked at", c.format, looked)
			}
			if err := g.guess("smtp", c.within, "ann@isp.example", "right"); !errors.Is(err, auth.ErrThrottled) {
				t.Errorf("%s: %v", c.within, err)
			}
			if err := g.guess("smtp", c.without, "ann@isp.example", "right"); err != nil {
				t.Errorf("%s: %v", c.without, err)
			}
		})
	}
}

// An IPv6 customer has a /64 of addresses and is one guesser.
func TestAddressIsACustomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := world(t, auth.Limits{Delay: -1})
		defer g.a.Close()
		for i := range 100 {
			_ = g.guess("smtp", fmt.Sprintf("2001:db8::%x", i+1), fmt.Sprintf("user%d@isp.example", i), "guess")
		}
		if looked := g.reasons[auth.UnknownUser]; looked != 20 {
			t.Errorf("%d guesses were looked at", looked)
		}
	})
}

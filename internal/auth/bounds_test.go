package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/auth"
)

// A held back answer ends with its session, and only so many are held back.
func TestDelayEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := world(t, auth.Limits{Delay: time.Hour, MaxDelay: time.Hour, Delayed: 1})
		defer g.a.Close()
		at := &auth.Attempt{Protocol: "smtp", Client: netip.MustParseAddr("198.51.100.7")}
		for range 2 {
			if err := g.guess("smtp", "198.51.100.7", "ann@isp.example", "typing error"); !errors.Is(err, auth.ErrCredentials) {
				t.Fatal(err)
			}
		}
		ctx, hangUp := context.WithCancel(t.Context())
		ended := make(chan error)
		began := time.Now()
		go func() {
			_, err := g.a.Password(ctx, at, "ann@isp.example", []byte("third"))
			ended <- err
		}()
		synctest.Wait()
		if err := g.guess("smtp", "198.51.100.7", "ann@isp.example", "fourth"); !errors.Is(err, auth.ErrThrottled) {
			t.Errorf("beyond those that are held back: %v", err)
		}
		hangUp()
		if err := <-ended; !errors.Is(err, auth.ErrCredentials) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// Whoever makes up names and addresses, and whoever has many users, fills no table
// beyond its bound, and does not make a guesser who goes on be forgotten.
//
// Covers HR4.
func TestTablesAreBounded(t *testing.T) {
	const bound = 100
	db := quick{}
	for i := range 10 * bound {
		name := fmt.Sprintf("user%d@isp.example", i)
		db[name] = &auth.Entry{Name: name, Hash: "{PLAIN}right"}
	}
	a := auth.New(auth.Options{Databases: []auth.Database{db}, CacheEntries: bound,
		Limits: auth.Limits{Delay: -1, Entries: bound, PerNetwork: auth.Allowance{Burst: -1}}})
	defer a.Close()
	guess := func(client netip.Addr, name, plain string) error {
		_, err := a.Password(t.Context(), &auth.Attempt{Protocol: "smtp", Client: client}, name, []byte(plain))
		return err
	}
	stubborn := netip.MustParseAddr("198.51.100.7")
	for i := range 10 * bound {
		client := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		if err := guess(client, fmt.Sprintf("user%d@isp.example", i), "right"); err != nil {
			t.Fatal(err)
		}
		if err := guess(client, fmt.Sprintf("nobody%d@isp.example", i), "guess"); !errors.Is(err, auth.ErrCredentials) {
			t.Fatal(err)
		}
		if err := guess(stubborn, "user0@isp.example", fmt.Sprint("guess", i)); i > 20 && !errors.Is(err, auth.ErrThrottled) {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	if s := a.Stats(); s.Remembered > bound || s.Watched > 4*bound || s.Remembered < bound/2 || s.Watched < 2*bound {
		t.Errorf("%+v", s)
	}
}

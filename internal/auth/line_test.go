package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/auth"
)

// slow is a database that checks passwords itself, when it is let.
type slow struct {
	let   chan bool
	asked atomic.Int64
	now   atomic.Int64 // open questions
}

func (s *slow) Lookup(_ context.Context, name string) (*auth.Entry, error) {
	return &auth.Entry{Name: name, Verify: func(ctx context.Context, plain []byte) (bool, error) {
		s.asked.Add(1)
		s.now.Add(1)
		defer s.now.Add(-1)
		select {
		case fits := <-s.let:
			return fits, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}}, nil
}

// Equal attempts are checked once, others wait for their turn, and one who leaves
// does not take the others' answer along.
func TestEqualAttemptsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slow{let: make(chan bool)}
		a := auth.New(auth.Options{Databases: []auth.Database{db}})
		defer a.Close()
		var all sync.WaitGroup
		var good atomic.Int64
		ctx, leave := context.WithCancel(t.Context())
		all.Go(func() { // the first, who does not stay
			if _, err := a.Password(ctx, attempt("smtp"), "ann@isp.example", []byte("right")); !errors.Is(err, auth.ErrUnavailable) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				if _, err := a.Password(t.Context(), attempt("smtp"), "ann@isp.example", []byte("right")); err == nil {
					good.Add(1)
				}
			})
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		db.let <- true
		all.Wait()
		if db.asked.Load() != 1 || good.Load() != 100 {
			t.Errorf("asked %d times, %d logged in", db.asked.Load(), good.Load())
		}
	})
}

// What waits is bounded; beyond it the answer is "later" at once, and a database
// that hangs is given up.
func TestLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slow{let: make(chan bool)}
		a := auth.New(auth.Options{Databases: []auth.Database{db}, Waiting: 10})
		defer a.Close()
		began := time.Now()
		var all sync.WaitGroup
		var later atomic.Int64
		for i := range 100 {
			if i <= 16 { // so many are checked at a time: they have left the line
				synctest.Wait()
			}
			all.Go(func() {
				_, err := a.Password(t.Context(), attempt("smtp"), "ann@isp.example", []byte{'p', byte(i)})
				if errors.Is(err, auth.ErrUnavailable) && time.Since(began) == 0 {
					later.Add(1)
				}
			})
		}
		synctest.Wait()
		if s := a.Stats(); s.Waiting != 10 || db.now.Load() != 16 || later.Load() != 100-10-16 {
			t.Errorf("%d wait, %d were sent away, %d are checked", s.Waiting, later.Load(), db.now.Load())
		}
		all.Wait()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("a database that hangs held logins for %v", took)
		}
	})
}

// A flood of guesses does not make those wait who log in from where they did before.
//
// Covers HR4.
func TestKnownAddressComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slow{let: make(chan bool)}
		a := auth.New(auth.Options{Databases: []auth.Database{db}, Waiting: 100, Cache: -1,
			Limits: auth.Limits{PerAddress: auth.Allowance{Burst: -1}}})
		defer a.Close()
		var all sync.WaitGroup
		try := func(client, plain string) (ended *atomic.Bool) {
			ended = new(atomic.Bool)
			at := &auth.Attempt{Client: netip.MustParseAddr(client)}
			all.Go(func() {
				_, _ = a.Password(t.Context(), at, "ann@isp.example", []byte(plain))
				ended.Store(true)
			})
			synctest.Wait()
			return ended
		}
		try("192.0.2.9", "right")
		db.let <- true
		all.Wait()
		for i := range 200 { // more than may wait
			try("198.51.100.7", fmt.Sprint("guess", i))
		}
		known := try("192.0.2.9", "right, in another session")
		stranger := try("192.0.2.10", "right, from elsewhere")
		for range 16 + 1 { // those under way, then the next
			db.let <- true
			synctest.Wait()
		}
		if !known.Load() || !stranger.Load() || a.Stats().Waiting != 100-16 {
			t.Errorf("the owner has an answer: %v; a stranger was sent away: %v; %d wait", known.Load(), stranger.Load(), a.Stats().Waiting)
		}
		for a.Stats().Waiting > 0 || db.now.Load() > 0 {
			db.let <- false
			synctest.Wait()
		}
		all.Wait()
	})
}

package mailbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A disk that fails at a random moment: nothing is promised from then on, and what
// was promised before is there when the power comes back.
func TestDiskFaults(t *testing.T) {
	seeds := uint64(24)
	if mailbox.RaceEnabled {
		seeds = 8
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 9))
		mem := vfs.NewCrashableMem()
		if err := mem.MkdirAll("store", 0o700); err != nil {
			t.Fatal(err)
		}
		s := open(t, small(mem))
		account(t, s, "a@example")
		closeStore(t, s)

		var left atomic.Int64
		left.Store(int64(rng.IntN(120)))
		broken := func(op errorfs.Op) error {
			if strings.Contains(op.Path, "index") {
				return nil // a failing index is tried again, and refuses mail meanwhile
			}
			switch op.Kind {
			case errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpCreate:
				if left.Add(-1) < 0 {
					return errorfs.ErrInjected
				}
			}
			return nil
		}
		o := small(errorfs.Wrap(mem, errorfs.InjectorFunc(broken)))
		var fatal atomic.Int32
		o.Fatal = func(error) { fatal.Add(1) }
		acked := faulty(t, o, &fatal)
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		s = open(t, small(clone))
		in := box(t, account(t, s, "a@example"), "INBOX")
		for uid, want := range acked {
			if got := content(t, in, uid); got != want {
				t.Errorf("seed %d: UID %d reads %.20q, want %.20q", seed, uid, got, want)
			}
		}
		if err := s.Recount(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		closeStore(t, s)
	}
}

// faulty files messages until the disk fails, and returns those that were
// acknowledged.
func faulty(t *testing.T, o mailbox.Options, fatal *atomic.Int32) map[uint32]string {
	acked := make(map[uint32]string)
	s, err := mailbox.Open(o)
	if err != nil {
		return acked // it failed at once
	}
	defer func() { _ = s.Close() }() // fails, as it should
	a, err := s.Account("a@example")
	if err != nil {
		return acked
	}
	in := box(t, a, "INBOX")
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 40 {
				body := fmt.Sprintf("message %d of %d", i, w)
				if i%8 == 7 {
					body += strings.Repeat("large 0123456789\r\n", 5000)
				}
				d := mailbox.Delivery{Key: mail.MakeID(int64(i), uint16(w), 1, 1), Text: text(body), Targets: []mailbox.Target{{Mailbox: in}}}
				if err := s.Deliver(t.Context(), &d); err != nil {
					if !errors.Is(err, errorfs.ErrInjected) && !errors.Is(err, mailbox.ErrClosed) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				acked[d.Targets[0].UID] = body
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if fatal.Load() > 1 {
		t.Errorf("told %d times that it is over", fatal.Load())
	}
	if fatal.Load() == 1 {
		if _, err := s.CreateAccount(t.Context(), "b@example"); !errors.Is(err, mailbox.ErrClosed) {
			t.Errorf("an account was made after a fatal error: %v", err)
		}
	}
	return acked
}

func TestDiskFull(t *testing.T) {
	o := small(vfs.NewMem())
	var free atomic.Uint64
	free.Store(1 << 40)
	o.ReserveBytes = 1 << 20
	o.DiskFree = func() (uint64, error) { return free.Load(), nil }
	s := open(t, o)
	defer closeStore(t, s)
	in := box(t, account(t, s, "a@example"), "INBOX")
	deliver(t, s, "x", in)
	free.Store(1<<20 + 10)
	for s.Healthy() == nil { // until the disk is asked again
		runtime.Gosched()
		free.Store(1<<20 - 10)
	}
	d := mailbox.Delivery{Text: text("y"), Targets: []mailbox.Target{{Mailbox: in}}}
	if err := s.Deliver(t.Context(), &d); !errors.Is(err, mailbox.ErrFull) || d.Targets[0].Err == nil {
		t.Error(err)
	}
	if n, err := in.Expunge(t.Context(), all(), 0); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// More accounts than stay in memory, used by several at once, with the collector at
// work: nobody sees an old picture of one.
func TestAccountsComeAndGo(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	const accounts, rounds = 40, 6
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for round := range rounds {
				for i := range accounts {
					a, err := s.CreateAccount(t.Context(), fmt.Sprintf("user%d@example", i))
					if err != nil {
						t.Error(err)
						return
					}
					m, err := a.Mailbox("INBOX")
					if err != nil {
						t.Error(err)
						return
					}
					d := mailbox.Delivery{Text: text(fmt.Sprint(w, round)), Targets: []mailbox.Target{{Mailbox: m}}}
					if err := s.Deliver(t.Context(), &d); err != nil {
						t.Error(err)
					}
				}
				runtime.GC()
			}
		})
	}
	wg.Wait()
	for i := range accounts {
		m := box(t, account(t, s, fmt.Sprintf("user%d@example", i)), "INBOX")
		if st := m.Status(); st.Messages != 4*rounds || st.UIDNext != 4*rounds+1 || len(uids(t, m)) != 4*rounds {
			t.Errorf("user %d: %+v", i, st)
		}
	}
	if err := s.Recount(); err != nil {
		t.Error(err)
	}
}

// Accounts are made and deleted by several at once: whoever finds one finds it whole,
// and a message that was acknowledged is in it or went with it.
func TestAccountsAreFoundWhole(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for round := range 30 {
				name := fmt.Sprintf("user%d@example", round%3)
				if w == 0 && round%5 == 4 {
					if err := s.DeleteAccount(t.Context(), name); err != nil && !errors.Is(err, mailbox.ErrNoAccount) {
						t.Error(err)
					}
					continue
				}
				a, err := s.CreateAccount(t.Context(), name)
				if err != nil {
					t.Error(err)
					continue
				}
				m, err := a.Mailbox("INBOX")
				if err != nil {
					if !errors.Is(err, mailbox.ErrNoAccount) {
						t.Error(err)
					}
					continue
				}
				d := mailbox.Delivery{Text: text("x"), Targets: []mailbox.Target{{Mailbox: m}}}
				if err := s.Deliver(t.Context(), &d); err != nil && !errors.Is(err, mailbox.ErrNoMailbox) {
					t.Error(err)
				} else if err == nil && a.Quota().UsedMessages == 0 {
					if _, err := a.Mailbox("INBOX"); err == nil {
						t.Error("a message was acknowledged and is not there")
					}
				}
			}
		})
	}
	wg.Wait()
	for !s.Reaped() {
		s.Forget(mail.ID{1})
	}
	if err := s.Recount(); err != nil {
		t.Error(err)
	}
}

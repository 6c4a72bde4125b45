package mailbox_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

func quiet(o mailbox.Options) mailbox.Options {
	o.CompactEvery = -1
	return o
}

// TestCompact compacts while everything changes: nothing that anybody can see is
// another one for it, files go, and a crash afterwards loses nothing.
func TestCompact(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := quiet(small(fs))
	s := open(t, o)
	a := newActor(t, s, 1)
	removed := 0
	for round := range 9 {
		for range 80 {
			if err := a.step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		before := dump(t, s)
		n, err := s.Compact(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		removed += n
		if after := dump(t, s); after != before {
			t.Fatalf("round %d: compaction changed\n%s", round, differ(before, after))
		}
		if round%3 == 2 {
			crash := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(round), 1))})
			closeStore(t, s)
			fs, o.FS = crash, crash
			s = open(t, o)
			if after := dump(t, s); after != before {
				t.Fatalf("round %d: after a crash\n%s", round, differ(before, after))
			}
			a.s = s
			for i := range a.as {
				a.as[i] = account(t, s, fmt.Sprintf("u%d@example", i))
			}
		}
	}
	closeStore(t, s)
	if removed < 5 {
		t.Errorf("only %d segments were given back", removed)
	}
}

// TestCompactInTheBackground has nobody ask for it.
func TestCompactInTheBackground(t *testing.T) {
	fs := vfs.NewMem()
	o := small(fs)
	o.CompactEvery = time.Millisecond
	s := open(t, o)
	defer closeStore(t, s)
	m := box(t, account(t, s, "a@example"), "INBOX")
	for range 40 {
		deliver(t, s, strings.Repeat("x", 20_000), m)
	}
	if _, err := m.Expunge(t.Context(), all(), 0); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if _, err := fs.Stat("store/log/log-00000000.seg"); err != nil {
			return
		}
		<-tick.C
	}
	t.Error("the first segment is still there")
}

// differ returns the first lines that differ.
func differ(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			return fmt.Sprintf("-%q\n+%q", x[i:min(i+2, len(x))], y[min(i, len(y)):min(i+2, len(y))])
		}
	}
	return fmt.Sprintf("+%q", y[len(x):])
}

// cut is a store after a power cut, and what had been acknowledged by then.
type cut struct {
	fs   *vfs.MemFS
	have map[uint32]string
}

// TestCompactWhileDelivering compacts again and again while others deliver, change and
// read, and cuts the power at some moments: what had been acknowledged is there, and
// what had been expunged is not, also when the index is made anew from what is left of
// the log.
func TestCompactWhileDelivering(t *testing.T) {
	for seed := range uint64(2) {
		fs := vfs.NewCrashableMem()
		o := quiet(small(fs))
		s := open(t, o)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				if _, err := s.Compact(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}()
		var cuts []cut
		m := box(t, account(t, s, "a@example"), "INBOX")
		have := make(map[uint32]string)
		rng := rand.New(rand.NewPCG(seed, 2))
		for i := range 150 {
			body := strings.Repeat(fmt.Sprintf("%d-%07d\n", seed, i), 1+rng.IntN(3000))
			have[deliver(t, s, body, m)[0]] = body
			for uid, want := range have {
				if content(t, m, uid) != want {
					t.Fatalf("message %d reads otherwise", uid)
				}
				if len(have) <= 12 {
					break
				}
				if _, err := m.Expunge(t.Context(), []mailbox.Range{{From: uid, To: uid}}, 0); err != nil {
					t.Fatal(err)
				}
				delete(have, uid)
			}
			if i%30 == 29 {
				cuts = append(cuts, cut{fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}), maps.Clone(have)})
			}
		}
		stop()
		wg.Wait()
		closeStore(t, s)
		for i := range cuts {
			cuts[i].check(t, o)
		}
	}
}

func (c *cut) check(t *testing.T, o mailbox.Options) {
	t.Helper()
	o.FS = c.fs
	for round := range 2 {
		if round == 1 {
			if r, err := mailbox.Rebuild(t.Context(), o); err != nil || !r.Complete() {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		s := open(t, o)
		sound(t, s)
		m := box(t, account(t, s, "a@example"), "INBOX")
		list := uids(t, m)
		if len(list) != len(c.have) {
			t.Errorf("round %d: %d messages, not %d", round, len(list), len(c.have))
		}
		for uid, want := range c.have {
			if !slices.Contains(list, uid) || content(t, m, uid) != want {
				t.Errorf("round %d: message %d is lost", round, uid)
			}
		}
		closeStore(t, s)
	}
}

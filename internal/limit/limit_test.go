package limit_test

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postrider/internal/limit"
)

var epoch = time.Unix(1_700_000_000, 0)

// In no stretch of time does a bucket let more pass than its burst and what the
// rate adds meanwhile; and what it says to wait is exactly enough.
func TestBucketKeepsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := limit.Rate{
			Interval: time.Duration(rapid.IntRange(1, 1000).Draw(t, "interval")) * time.Millisecond,
			Burst:    rapid.IntRange(1, 10).Draw(t, "burst"),
		}
		var b limit.Bucket
		now := epoch
		var taken []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			had := b.Tokens(now, r)
			wait, ok := b.Take(now, r, 1)
			if ok != (had > 0) {
				t.Fatalf("%d tokens, taken %v", had, ok)
			}
			if !ok {
				early := b
				if _, ok := early.Take(now.Add(wait-1), r, 1); ok {
					t.Fatal("a token before the wait was over")
				}
				late := b
				if _, ok := late.Take(now.Add(wait), r, 1); !ok {
					t.Fatal("no token after the wait")
				}
				continue
			}
			taken = append(taken, now)
			for i, start := range taken {
				if n := len(taken) - i; time.Duration(n-r.Burst)*r.Interval > now.Sub(start) {
					t.Fatalf("%d tokens in %v at %+v", n, now.Sub(start), r)
				}
			}
		}
	})
}

func TestBucketWithoutARate(t *testing.T) {
	var b limit.Bucket
	for range 1000 {
		if _, ok := b.Take(epoch, limit.PerSecond(0, 1), 1); !ok {
			t.Fatal("refused")
		}
	}
	if wait, ok := b.Take(epoch, limit.PerSecond(10, 1), 5); !ok || wait != 0 {
		t.Error("more than a burst is refused by a full bucket")
	}
	if wait, ok := b.Take(epoch, limit.PerSecond(10, 1), 1); ok || wait != 500*time.Millisecond {
		t.Errorf("after five tokens at once: %v %v", wait, ok)
	}
}

// A Keyed holds what was acquired and not released, a peer never more than its
// bound, and no entry for a peer that holds nothing.
func TestKeyedCounts(t *testing.T) {
	peers := []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:1"), netip.MustParseAddr("2001:db8:0:1::1"), {},
	}
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 5).Draw(t, "keys")
		most := rapid.IntRange(1, 3).Draw(t, "most")
		k := limit.NewKeyed(keys)
		held := map[netip.Prefix]int{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			a := rapid.SampledFrom(peers).Draw(t, "peer")
			key := limit.Key(a)
			if rapid.Bool().Draw(t, "release") && held[key] > 0 {
				k.Release(a)
				if held[key]--; held[key] == 0 {
					delete(held, key)
				}
			} else {
				want := held[key] < most && (held[key] > 0 || len(held) < keys)
				if got := k.Acquire(a, most); got != want {
					t.Fatalf("acquire %s: %v with %v held", a, got, held)
				}
				if want {
					held[key]++
				}
			}
			if k.Held(a) != held[key] || k.Peers() != len(held) {
				t.Fatalf("%s holds %d of %d peers, want %d of %d", a, k.Held(a), k.Peers(), held[key], len(held))
			}
		}
	})
}

func TestKeyIsWhatOneCustomerHolds(t *testing.T) {
	same := func(a, b string) bool { return limit.Key(netip.MustParseAddr(a)) == limit.Key(netip.MustParseAddr(b)) }
	if !same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff") || !same("192.0.2.1", "::ffff:192.0.2.1") || !same("fe80::1%a", "fe80::1%b") {
		t.Error("one peer has two keys")
	}
	if same("2001:db8::1", "2001:db8:0:1::1") || same("192.0.2.1", "192.0.2.2") {
		t.Error("two peers share a key")
	}
}

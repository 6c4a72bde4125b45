package ledger_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"postrider/bench/ledger"
	"postrider/bench/result"
)

// Every way in which a duty can end is told apart, and the sum is that of the
// definition.
func TestTotals(t *testing.T) {
	l := ledger.New(7)
	for i := range 10 {
		if seq := l.Issue(3); seq != uint64(3*i) {
			t.Fatalf("message %d is number %d", i, seq)
		}
	}
	ends := func(seq uint64, e ...ledger.End) {
		for n, e := range e {
			l.End(seq, n, e)
		}
	}
	a, r, u := ledger.Accepted, ledger.Refused, ledger.Unknown
	ends(0, a, a, a) // once, twice, lost
	deliver := func(seq uint64, n int, whole, first, known bool) {
		t.Helper()
		if f, k := l.Delivered(seq, n, whole); f != first || k != known {
			t.Errorf("r%d.%d: first %v, known %v", seq, n, f, k)
		}
	}
	deliver(0, 0, true, true, true)
	deliver(0, 1, true, true, true)
	deliver(0, 1, true, false, true)
	deliver(3, 0, false, true, true) // before the generator knows
	ends(3, a, r, r)                 // corrupted, refused, phantom
	deliver(3, 2, true, true, true)
	ends(6, u, u, ledger.Unsent) // unknown, unknown and delivered, phantom
	deliver(6, 1, true, true, true)
	deliver(6, 2, true, true, true)
	ends(9, a, a, a) // bounced, delivered after the bounce, bounced after the delivery
	l.Bounced(9, 0)
	l.Bounced(9, 1)
	deliver(9, 1, true, true, true)
	deliver(9, 2, true, true, true)
	l.Bounced(9, 2)
	l.Delayed(9, 2)
	ends(12, a, a) // queued
	for _, d := range []ledger.Duty{{Seq: 1}, {Seq: 0, N: 3}, {Seq: 0, N: 4}, {Seq: 27, N: 3}, {Seq: 30}, {Seq: 1 << 60}, {Seq: 3, N: -1}} {
		deliver(d.Seq, d.N, true, false, false)
	}
	if l.Bounced(30, 0) || l.Delayed(1, 0) {
		t.Error("a duty that was not issued is known")
	}
	l.Strange(4)
	l.End(30, 0, a) // no such duty: nothing

	want := result.Ledger{
		Duties: 30, Accepted: 9, Refused: 2, Unknown: 2, Unsent: 17,
		Once: 4, Duplicated: 1, Copies: 1, Bounced: 1, Queued: 2, Lost: 1,
		UnknownDelivered: 1, Phantom: 2, Strange: 7 + 2 + 4, Corrupted: 1, AfterBounce: 1, FalseBounces: 1, DelayNotices: 1,
	}
	if got := l.Totals(2); got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if got := l.Totals(9); got.Lost != 0 || got.Queued != 3 {
		t.Errorf("more queued than can be: %+v", got)
	}
	if l.Accepted() != 9 || l.Ended() != 6 || l.Owed() != 3 || l.Issued() != 30 || l.Run() != 7 {
		t.Errorf("live: accepted %d, ended %d, owed %d", l.Accepted(), l.Ended(), l.Owed())
	}
	for name, c := range map[string]struct{ got, want []ledger.Duty }{
		"missing":  {l.Missing(10), []ledger.Duty{{Seq: 0, N: 2}, {Seq: 12, N: 0}, {Seq: 12, N: 1}}},
		"bounded":  {l.Missing(1), []ledger.Duty{{Seq: 0, N: 2}}},
		"repeated": {l.Repeated(10), []ledger.Duty{{Seq: 0, N: 1}}},
		"damaged":  {l.Damaged(10), []ledger.Duty{{Seq: 3, N: 0}}},
		"phantoms": {l.Phantoms(10), []ledger.Duty{{Seq: 3, N: 2}, {Seq: 6, N: 2}}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, not %v", name, c.got, c.want)
		}
	}
}

// Copies stay exact beyond what a duty can count.
func TestManyCopies(t *testing.T) {
	l := ledger.New(1)
	seq := l.Issue(1)
	l.End(seq, 0, ledger.Accepted)
	for range 1000 {
		l.Delivered(seq, 0, true)
	}
	if got := l.Totals(0); got.Duplicated != 1 || got.Copies != 999 || got.Lost != 0 || l.Deliveries() != 1000 {
		t.Errorf("%+v", got)
	}
}

func TestOrder(t *testing.T) {
	l := ledger.New(1)
	for range 10 {
		l.Issue(1)
	}
	for _, m := range []struct {
		worker int
		seq    uint64
	}{{0, 0}, {0, 2}, {5000, 1}, {0, 2}, {0, 4}, {5000, 3}, {0, 3}, {0, 9}, {-1, 1}, {1 << 20, 1}, {0, 99}} {
		l.Order(m.worker, m.seq)
	}
	if got := l.Totals(0).OutOfOrder; got != 1 {
		t.Errorf("%d", got)
	}
}

// Both halves of a word and both sides of a page are kept apart, from many
// goroutines: the totals are those of a plain count.
func TestConcurrent(t *testing.T) {
	const workers, messages = 8, 20_000
	l := ledger.New(1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var want result.Ledger
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			var mine result.Ledger
			for range messages {
				rcpts := 1 + random.IntN(3)
				seq := l.Issue(rcpts)
				mine.Duties += int64(rcpts)
				for n := range rcpts {
					count := random.IntN(3)
					for range count {
						l.Delivered(seq, n, true)
					}
					l.End(seq, n, ledger.Accepted)
					mine.Accepted++
					switch count {
					case 0:
						mine.Lost++
					case 1:
						mine.Once++
					default:
						mine.Duplicated++
						mine.Copies++
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			want.Duties += mine.Duties
			want.Accepted += mine.Accepted
			want.Lost += mine.Lost
			want.Once += mine.Once
			want.Duplicated += mine.Duplicated
			want.Copies += mine.Copies
		})
	}
	wg.Wait()
	if got := l.Totals(0); got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if l.Owed() != want.Lost || l.Ended() != want.Once+want.Duplicated {
		t.Errorf("owed %d, ended %d", l.Owed(), l.Ended())
	}
}

// A million duties fit into 30 MB.
func TestMillionDuties(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := ledger.New(1)
	for range 1_000_000 {
		seq := l.Issue(1)
		l.End(seq, 0, ledger.Accepted)
		l.Delivered(seq, 0, true)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d bytes", used)
	if used > 30_000_000 {
		t.Errorf("a million duties take %d bytes", used)
	}
	if got := l.Totals(0); got.Once != 1_000_000 {
		t.Errorf("%+v", got)
	}
}

// The hot path does not allocate.
func TestAllocations(t *testing.T) {
	l := ledger.New(1)
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(1000, func() {
		seq := l.Issue(2)
		l.End(seq, 1, ledger.Accepted)
		l.Delivered(seq, 1, true)
		l.Order(3, seq)
		buf = ledger.AppendRecipient(buf[:0], seq, 1)
		if got, n, ok := ledger.ParseRecipient(buf); !ok || got != seq || n != 1 {
			t.Error(string(buf))
		}
		buf = ledger.AppendHeader(buf[:0], ledger.Header{Run: 1, Seq: seq, Worker: 3})
		if h, ok := ledger.ParseHeader(buf); !ok || h.Seq != seq {
			t.Error(string(buf))
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRecipients(t *testing.T) {
	for in, want := range map[string]struct {
		seq uint64
		n   int
		ok  bool
	}{
		"r0.0": {0, 0, true}, "r12.345@x.test": {12, 345, true}, "R1.2@X": {1, 2, true}, "r7.1@": {7, 1, true},
		"": {}, "r1": {}, "r1.": {}, "r.1": {}, "x1.1": {}, "r1.1x": {}, "r1.1+a@x": {}, "r-1.1": {}, "r1.1048576": {},
		"r1234567890123456789.1": {},
	} {
		if seq, n, ok := ledger.ParseRecipient([]byte(in)); seq != want.seq || n != want.n || ok != want.ok {
			t.Errorf("%q: %d %d %v", in, seq, n, ok)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := ledger.Header{Run: 9, Seq: 123, Intended: 1_700_000_000_000_000, Sent: 1_700_000_000_000_001, Hash: 0xfedcba9876543210, Worker: 63}
	line := ledger.AppendHeader(nil, h)
	if len(line) != ledger.HeaderBytes || !bytes.HasSuffix(line, []byte("\r\n")) {
		t.Errorf("%q has %d bytes, not %d", line, len(line), ledger.HeaderBytes)
	}
	for _, in := range [][]byte{line, line[len(ledger.HeaderName):], line[:len(line)-2], line[:len(line)-1]} {
		if got, ok := ledger.ParseHeader(in); !ok || got != h {
			t.Errorf("%q: %+v %v", in, got, ok)
		}
	}
	if got, ok := ledger.ParseHeader([]byte("9,3,0,0,0000000000000001")); !ok || got != (ledger.Header{Run: 9, Seq: 3, Hash: 1, Worker: -1}) {
		t.Errorf("%+v %v", got, ok)
	}
	for _, bad := range []string{"", "X-Bench: ", "1,2,3,4", "1,2,3,4,0", "1,2,3,4,000000000000000g", "1,2,3,4,0000000000000001,", "1,2,3,4,0000000000000001,x", "1,2,3,4,00000000000000011", "1,2,3,4,0000000000000001,1,1", ",2,3,4,0000000000000001"} {
		if _, ok := ledger.ParseHeader([]byte(bad)); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParseRecipient(f *testing.F) {
	f.Add([]byte("r12.3@x.test"))
	f.Fuzz(func(t *testing.T, in []byte) {
		seq, n, ok := ledger.ParseRecipient(in)
		if !ok {
			return
		}
		if again, m, ok := ledger.ParseRecipient(ledger.AppendRecipient(nil, seq, n)); !ok || again != seq || m != n {
			t.Errorf("%q: %d %d", in, again, m)
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	f.Add(ledger.AppendHeader(nil, ledger.Header{Run: 1, Seq: 2, Worker: 3}))
	f.Add([]byte("9,3,0,0,0000000000000001"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, ok := ledger.ParseHeader(in)
		if !ok || h.Run >= 1e10 || h.Seq >= 1e16 || h.Intended >= 1e16 || h.Sent >= 1e16 || h.Worker < 0 || h.Worker >= 1e7 {
			return // not what AppendHeader can write
		}
		if again, ok := ledger.ParseHeader(ledger.AppendHeader(nil, h)); !ok || again != h {
			t.Errorf("%q: %+v, then %+v", in, h, again)
		}
	})
}

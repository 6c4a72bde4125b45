package schedule

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// backlog is an order with the backlog that a queue would keep for it.
type backlog struct {
	t     interface{ Fatalf(string, ...any) }
	o     *Order
	now   int64
	ready map[uint32]int // recipients by bucket
	flow  map[uint32]uint32
	band  map[uint32]uint8
}

func newBacklog(t interface{ Fatalf(string, ...any) }, o OrderOptions) *backlog {
	return &backlog{t: t, o: NewOrder(o), now: 1_700_000_000_000, ready: map[uint32]int{}, flow: map[uint32]uint32{}, band: map[uint32]uint8{}}
}

func (q *backlog) add(bucket, flow uint32, band uint8, n int) {
	if q.ready[bucket] == 0 {
		q.o.Add(bucket, flow, band)
	}
	q.ready[bucket] += n
	q.flow[bucket], q.band[bucket] = flow, band
}

// take leases from the bucket that is next; false when there is none.
func (q *backlog) take(bytes int64) (bucket uint32, ok bool) {
	bucket, ok = q.o.Next(q.now)
	if !ok {
		return 0, false
	}
	if q.ready[bucket] == 0 {
		q.t.Fatalf("bucket %d is empty", bucket)
	}
	q.o.Took(bucket, bytes, 1)
	if q.ready[bucket]--; q.ready[bucket] == 0 {
		q.o.Remove(bucket)
	}
	return bucket, true
}

// shares runs n transactions, each ended before the next, and counts them by what
// of says.
func (q *backlog) shares(n int, of func(bucket uint32) uint32) map[uint32]int {
	got := map[uint32]int{}
	for range n {
		b, ok := q.take(1000)
		if !ok {
			q.t.Fatalf("nothing is next")
		}
		got[of(b)]++
		q.o.Done(q.flow[b])
	}
	return got
}

func near(got, want, slack int) bool { return got >= want-slack && got <= want+slack }

// Covers Q7.
func TestBandsHaveTheirLeastShares(t *testing.T) {
	tests := []struct {
		bands []uint8
		want  []int // of 1000
	}{
		{[]uint8{BandInteractive, BandNormal, BandBulk, BandRetry}, []int{500, 300, 150, 50}},
		{[]uint8{BandInteractive, BandNormal}, []int{625, 375}},
		{[]uint8{BandNormal, BandBulk}, []int{667, 333}},
		{[]uint8{BandBulk, BandRetry}, []int{800, 200}}, // retries never more than a fifth
		{[]uint8{BandNormal, BandRetry}, []int{857, 143}},
		{[]uint8{BandBulk}, []int{1000}},
		{[]uint8{BandRetry}, []int{1000}},
	}
	for _, tt := range tests {
		q := newBacklog(t, OrderOptions{})
		for _, b := range tt.bands {
			q.add(uint32(b), uint32(b), b, 1_000_000)
		}
		got := q.shares(1000, func(b uint32) uint32 { return uint32(q.band[b]) })
		for i, b := range tt.bands {
			if !near(got[uint32(b)], tt.want[i], 10) {
				t.Errorf("bands %v: %s got %d of 1000, want %d", tt.bands, BandName(b), got[uint32(b)], tt.want[i])
			}
		}
	}
}

// A band that comes back has saved nothing up, and waits for nobody.
func TestABandThatRestedStartsAnew(t *testing.T) {
	q := newBacklog(t, OrderOptions{})
	q.add(1, 1, BandNormal, 1_000_000)
	q.shares(10_000, func(uint32) uint32 { return 0 })
	q.add(2, 2, BandInteractive, 1_000_000)
	got := q.shares(1000, func(b uint32) uint32 { return b })
	if !near(got[2], 625, 10) {
		t.Errorf("interactive got %d of 1000 after normal was alone for long", got[2])
	}
}

// Covers Q6.
func TestFlowsShareByWhatTheyCostAndWeigh(t *testing.T) {
	tests := []struct {
		name    string
		weights map[uint32]int
		bytes   map[uint32]int64
		want    map[uint32]int // of 1200
	}{
		{"alike", nil, nil, map[uint32]int{1: 400, 2: 400, 3: 400}},
		{"one weighs two", map[uint32]int{1: 2}, nil, map[uint32]int{1: 600, 2: 300, 3: 300}},
		{"one sends large messages", nil, map[uint32]int64{1: 64<<10 + 1000}, map[uint32]int{1: 242, 2: 479, 3: 479}},
	}
	for _, tt := range tests {
		q := newBacklog(t, OrderOptions{Weight: func(f uint32) int { return max(tt.weights[f], 1) }})
		for f := uint32(1); f <= 3; f++ {
			q.add(f, f, BandNormal, 1_000_000)
		}
		got := map[uint32]int{}
		for range 1200 {
			b, _ := q.o.Next(0)
			q.o.Took(b, max(tt.bytes[b], 1000), 1)
			q.o.Done(b)
			got[b]++
		}
		for f, want := range tt.want {
			if !near(got[f], want, want/20) {
				t.Errorf("%s: flow %d got %d of 1200, want %d", tt.name, f, got[f], want)
			}
		}
	}
}

// A sender's mail for several domains of the site takes turns.
func TestBucketsOfAFlowTakeTurns(t *testing.T) {
	q := newBacklog(t, OrderOptions{})
	for b := uint32(1); b <= 4; b++ {
		q.add(b, 1, BandNormal, 100)
	}
	got := q.shares(40, func(b uint32) uint32 { return b })
	for b := uint32(1); b <= 4; b++ {
		if got[b] != 10 {
			t.Errorf("bucket %d: %d of 40", b, got[b])
		}
	}
}

// Whatever n flows have queued, and in whatever state their accounts are, the first
// message of a new one is taken after at most one of each of them: with a window of
// transactions under way it starts within n plus window of the lane.
// Covers Q6.
func TestFloodFairnessBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "flows")
		window := rapid.IntRange(1, 20).Draw(t, "window")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		q := newBacklog(t, OrderOptions{Weight: func(f uint32) int { return 1 + int(f%5) }})
		for f := range n {
			q.add(uint32(f), uint32(f), BandNormal, 100_000)
		}
		var under []uint32 // flows of the transactions under way
		step := func() uint32 {
			for len(under) >= window {
				i := random.IntN(len(under))
				q.o.Done(under[i])
				under = append(under[:i], under[i+1:]...)
			}
			b, ok := q.take(int64(random.IntN(1 << 20)))
			if !ok {
				t.Fatalf("nothing is next")
			}
			under = append(under, q.flow[b])
			return b
		}
		for range rapid.IntRange(0, 3000).Draw(t, "before") {
			step()
		}
		q.add(1<<20, 1<<20, BandNormal, 1)
		for waited := 0; step() != 1<<20; waited++ {
			if waited >= n {
				t.Fatalf("%d flows: a new one waited for %d transactions", n, waited)
			}
		}
	})
}

// While others wait no flow holds more than half of what is under way, though its
// messages take for ever; alone it gets everything.
func TestAFlowHoldsHalfOfTheSlotsWhileOthersWait(t *testing.T) {
	q := newBacklog(t, OrderOptions{})
	q.add(1, 1, BandInteractive, 1000)
	for range 10 {
		if b, ok := q.take(1000); !ok || b != 1 {
			t.Fatal("the only flow did not get a slot")
		}
	}
	q.add(2, 2, BandBulk, 1_000_000)
	for range 100 { // flow 2's end, flow 1's never do
		b, _ := q.take(1000)
		if b != 2 {
			t.Fatal("a flow that holds more than half got more")
		}
		q.o.Done(2)
	}
	for range 6 {
		q.o.Done(1)
	}
	held := 4
	for range 100 {
		b, _ := q.take(1000)
		if b == 1 {
			held++
		}
		if b == 1 && held*2 > q.o.inflight+1 {
			t.Fatalf("flow 1 holds %d of %d", held, q.o.inflight)
		}
		if b == 2 && q.o.inflight > 10 {
			q.o.Done(2)
		}
	}
}

// Retries that take long hold a fifth of the slots while others wait.
// Covers Q12.
func TestRetriesHoldAFifthOfTheSlots(t *testing.T) {
	q := newBacklog(t, OrderOptions{FlowShare: 1})
	q.add(1, 1, BandRetry, 1_000_000)
	q.add(2, 2, BandBulk, 1_000_000)
	held, fresh := 0, 0
	for range 200 {
		b, _ := q.take(1000)
		if b == 1 {
			held++
		} else if fresh++; fresh > 8 {
			q.o.Done(2)
			fresh--
		}
	}
	if held == 0 || held > 2 {
		t.Errorf("%d retries under way beside 8 others", held)
	}
	q.o.Remove(2)
	for range 10 {
		if b, ok := q.take(1000); !ok || b != 1 {
			t.Fatal("retries do not get the slots that nobody else wants")
		}
	}
}

func TestSuspendedFlowsArePassedOver(t *testing.T) {
	q := newBacklog(t, OrderOptions{})
	q.add(1, 1, BandNormal, 100)
	q.add(2, 2, BandNormal, 100)
	q.take(0)
	q.o.Suspend(1, q.now+500)
	q.o.Suspend(3, q.now+200) // not seen yet
	q.add(3, 3, BandInteractive, 100)
	if got := q.shares(20, func(b uint32) uint32 { return b }); got[2] != 20 {
		t.Errorf("%v", got)
	}
	q.o.Remove(2)
	if _, ok := q.take(0); ok {
		t.Error("a suspended flow is next")
	}
	if at := q.o.NextAt(q.now); at != q.now+200 {
		t.Errorf("next at %d", at-q.now)
	}
	q.now += 200
	if b, ok := q.take(0); !ok || b != 3 {
		t.Errorf("%d %v", b, ok)
	}
	q.o.Remove(3)
	q.o.Suspend(1, 0)
	if b, ok := q.take(0); !ok || b != 1 || q.o.Suspended(1) != 0 {
		t.Error("the suspension was not lifted")
	}

	// The clock is put back by a day.
	q.o.Suspend(1, q.now+60_000)
	q.take(0)
	q.now -= 24 * 3_600_000
	q.take(0)
	q.now += 60_000
	if _, ok := q.take(0); !ok {
		t.Error("a suspension of a minute lasts longer because the clock was put back")
	}
}

// The canary is the message that somebody waits for, of another flow each time.
func TestProbeTakesTheBestBand(t *testing.T) {
	q := newBacklog(t, OrderOptions{})
	for f := uint32(1); f <= 3; f++ {
		q.add(f, f, BandInteractive, 10)
	}
	q.add(4, 4, BandNormal, 10)
	q.shares(7, func(b uint32) uint32 { return b })
	q.o.Probe(true)
	last := uint32(0)
	for range 6 {
		b, _ := q.take(1000)
		if b == last || q.band[b] != BandInteractive {
			t.Errorf("after flow %d the canary is of flow %d", last, b)
		}
		last = b
	}
}

// An order never loses or invents a bucket, whatever the sequence of calls, and
// keeps no flow that tells nothing.
func TestOrderKeepsItsBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shared := NewBuckets()
		qs := []*backlog{newBacklog(t, OrderOptions{Buckets: shared}), newBacklog(t, OrderOptions{Buckets: shared})}
		where := map[uint32]*backlog{}
		under := map[*backlog][]uint32{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			b := uint32(rapid.IntRange(0, 3000).Draw(t, "bucket"))
			q := where[b]
			if q == nil {
				q = qs[b%2]
			}
			switch rapid.IntRange(0, 6).Draw(t, "event") {
			case 0, 1, 2:
				if q.ready[b] == 0 {
					q.add(b, b/7%40, uint8(b%5), 1+int(b%3))
					where[b] = q
				}
			case 3:
				delete(q.ready, b)
				q.o.Remove(b)
				delete(where, b)
			case 4:
				if got, ok := q.take(int64(b)); ok {
					under[q] = append(under[q], q.flow[got])
				}
			case 5:
				if u := under[q]; len(u) > 0 {
					q.o.Done(u[0])
					under[q] = u[1:]
				}
			case 6:
				q.now += int64(rapid.IntRange(-2000, 5000).Draw(t, "ms"))
				q.o.Suspend(b/7%40, q.now+int64(b))
			}
		}
		for _, q := range qs {
			q.now += 1 << 40
			left := 0
			for _, n := range q.ready {
				left += n
			}
			for range left {
				if _, ok := q.take(0); !ok {
					t.Fatalf("%d recipients are never next", left)
				}
			}
			if b, ok := q.o.Next(q.now); ok {
				t.Fatalf("bucket %d is next, but nothing is ready", b)
			}
			for _, f := range under[q] {
				q.o.Done(f)
			}
			if q.o.inflight < 0 || q.o.retries < 0 || q.o.retries > q.o.inflight {
				t.Fatalf("%d under way, %d retries", q.o.inflight, q.o.retries)
			}
		}
	})
}

func TestOrderForgetsIdleFlows(t *testing.T) {
	o := NewOrder(OrderOptions{})
	for f := range uint32(100_000) {
		o.Add(f%64, f, BandNormal)
		b, ok := o.Next(0)
		if !ok {
			t.Fatal("nothing is next")
		}
		o.Took(b, 1<<20, 1)
		o.Remove(b)
		o.Done(f)
	}
	if len(o.flows) > 16 {
		t.Errorf("%d flows are remembered of which nothing is left", len(o.flows))
	}
}

// Covers Q6.
func TestOrderAllocatesNothing(t *testing.T) {
	q := newBacklog(t, OrderOptions{Weight: func(uint32) int { return 1 }})
	for f := range uint32(1000) {
		q.o.Add(f, f, uint8(f%4))
	}
	if n := testing.AllocsPerRun(1000, func() {
		b, _ := q.o.Next(q.now)
		q.o.Took(b, 5000, 1)
		q.o.Remove(b)
		q.o.Done(b)
		q.o.Add(b, b, uint8(b%4))
	}); n != 0 {
		t.Errorf("%v allocations a transaction", n)
	}
}

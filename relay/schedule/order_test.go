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

package schedule

import (
	"testing"

	"pgregory.net/rapid"
)

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

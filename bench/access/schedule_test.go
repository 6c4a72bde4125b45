package access

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// A server that stalls does not keep sessions from being due: what came late by it
// counts from the moment at which it was due.
func TestStallShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &Options{Rate: 100, Duration: 10 * time.Second}
		began := time.Now()
		s := newSchedule(o, []*mailbox{mails(0)}, rand.New(rand.NewPCG(1, 2)), began)
		tally, late := newTally(&live{}), 0
		n := 0
		for {
			sl, behind, ok := s.take(t.Context())
			if !ok {
				break
			}
			if behind {
				late++
			}
			if n == 300 {
				time.Sleep(2 * time.Second) // the answer of the server
			}
			tally.done(opSession, time.Since(sl.due), 1, 0)
			s.back(sl.box)
			n++
		}
		if n < 900 || n > 1100 {
			t.Errorf("%d sessions at 100 a second in 10 s", n)
		}
		if late < 150 || late > 260 {
			t.Errorf("%d sessions were late, a stall of 2 s at 100 a second makes about 200", late)
		}
		l := tally.results(Options{}, time.Since(began))[0].Latency
		if l.P99 < 1_700_000 || l.P50 > 1000 {
			t.Errorf("p50 %d us, p99 %d us: the stall of 2 s does not show", l.P50, l.P99)
		}
	})
}

// Without a rate every session is due at once, and mailboxes come in turn if that
// is wanted.
func TestClosedLoop(t *testing.T) {
	boxes := []*mailbox{mails(0), mails(1), mails(2)}
	s := newSchedule(&Options{Sessions: 7}, boxes, rand.New(rand.NewPCG(1, 2)), time.Now())
	s.inTurn = true
	for i := range 7 {
		sl, late, ok := s.take(t.Context())
		if !ok || late || sl.box != boxes[i%3] {
			t.Fatalf("session %d: %v %v", i, late, ok)
		}
		s.back(sl.box)
	}
	if _, _, ok := s.take(t.Context()); ok {
		t.Error("more sessions than were asked for")
	}
}

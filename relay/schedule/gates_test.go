package schedule

import (
	"testing"
	"time"

	"postrider/internal/mail"
)

// connect opens what the lane lets, all to address 0.
func (r *rig) connect(ready int) int {
	n := r.open(ready)
	for range n {
		r.up(0)
	}
	return n
}

// grow gives the lane a window of n by success.
func (r *rig) grow(n int) {
	r.t.Helper()
	for range 10 * n {
		r.connect(100_000)
		if r.l.State(r.now).Up >= n {
			return
		}
		r.l.Success(r.now, 1, r.addr(0), time.Second)
	}
	r.t.Fatalf("no window of %d: %+v", n, r.l.State(r.now))
}

// A 421 cuts the window at once, and once for all connections that it tells; who is
// open beyond it is asked to end.
// Covers D7.
func TestTooManyCutsTheWindow(t *testing.T) {
	r := newRig(t, 1, Options{LaneConnections: 10}, Caps{})
	r.grow(10)
	for range 3 {
		if e := r.l.Trouble(r.now, 1, r.addr(0), mail.ClassConnection, 0); e.Private || e.Opened || e.SuspendFlow != 0 {
			t.Fatalf("%+v", e)
		}
	}
	if n := r.l.State(r.now).Window; n != 7 {
		t.Errorf("window %d", n)
	}
	ended := 0
	for range 30 {
		if ok, wait := r.l.Take(r.now, 1); !ok && wait == 0 {
			ended++
		}
	}
	if ended != 3 {
		t.Errorf("%d connections were asked to end", ended)
	}
	r.gate(1000, GateWindow)
	for range 3 {
		r.close(0)
	}
	if r.open(1000) != 0 {
		t.Error("more than the window")
	}
}

// A site that refuses at the lowest window is given pauses, and in the end left alone.
func TestTooManyAtOneConnectionIsAPause(t *testing.T) {
	r := newRig(t, 1, Options{LaneConnections: 1}, Caps{})
	r.connect(100)
	r.l.Success(r.now, 1, r.addr(0), time.Second)
	if e := r.l.Trouble(r.now, 1, r.addr(0), mail.ClassRate, 0); !e.Private {
		t.Error("the message goes round and round")
	}
	if ok, wait := r.l.Take(r.now, 1); ok || wait != pauseFirst {
		t.Errorf("%v %v", ok, wait)
	}
	r.close(0)
	d := r.gate(100, GateRate)
	if d.Until.Sub(r.now) != pauseFirst {
		t.Errorf("paused for %v", d.Until.Sub(r.now))
	}
	r.pass(pauseFirst)
	r.open(100)
	r.refused(0, busy, mail.ClassConnection)
	r.close(0)
	r.gate(100, GateBreaker)
}

// Covers Q10.
func TestWhatASiteAsksFor(t *testing.T) {
	r := newRig(t, 1, Options{LaneConnections: 4}, Caps{})
	r.grow(4)
	if e := r.l.Trouble(r.now, 7, r.addr(0), mail.ClassRate, 10*time.Minute); e.SuspendFlow != 10*time.Minute || e.Private {
		t.Errorf("%+v", e)
	}
	if f, ok := r.l.Flow(r.now, 7); !ok || f.Until.Sub(r.now) != 10*time.Minute || f.Class != mail.ClassRate {
		t.Errorf("%+v %v", f, ok)
	}
	r.l.Take(r.now, 8) // one connection ends: the window was cut
	if ok, _ := r.l.Take(r.now, 8); !ok {
		t.Error("another flow was held, too")
	}
	r.l.Trouble(r.now, 8, r.addr(0), mail.ClassRate, 10*time.Minute) // now it is the site
	if ok, wait := r.l.Take(r.now, 9); ok || wait != 0 {             // so long a wait is no reason to keep a connection
		t.Errorf("%v %v", ok, wait)
	}
	if d := r.gate(100, GateRate); d.Until.Sub(r.now) != 10*time.Minute {
		t.Errorf("paused for %v", d.Until.Sub(r.now))
	}
}

// A refusal as blocked suspends its flow; the refusals of three flows with no success
// between them say that it is the source, which is blocked at all of the provider's
// sites.
// Covers Q10.
func TestABlockNeedsThreeFlows(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{})
	r.l = r.s.Lane(Key{"out", "a.example", "big"}, Caps{})
	sibling := r.s.Lane(Key{"out", "b.example", "big"}, Caps{})
	other := r.s.Lane(Key{"out2", "a.example", "big"}, Caps{})
	r.pick()
	r.connect(100)
	block := func(flow uint32) Effect { return r.l.Trouble(r.now, flow, r.addr(0), mail.ClassReputation, 0) }
	for range 5 { // one flow, however often
		if e := block(1); e.Opened || e.SuspendFlow != suspendFirst || e.Private {
			t.Fatalf("%+v", e)
		}
	}
	block(2)
	r.l.Success(r.now, 4, r.addr(0), time.Second) // we are not blocked
	if e := block(3); e.Opened {
		t.Fatal("one flow after a success opened the breaker")
	}
	if e := block(2); e.Opened {
		t.Fatal("two flows after a success opened the breaker")
	}
	if st := r.l.State(r.now); st.Suspended != 3 || st.Gate == GateBreaker {
		t.Errorf("%+v", st)
	}
	if e := block(1); !e.Opened {
		t.Fatal("three flows did not open the breaker")
	}
	d := r.gate(100, GateBreaker)
	if b := sibling.Decide(r.now, 100); b.Gate != GateBreaker || !b.Until.Equal(d.Until) || sibling.State(r.now).Class != mail.ClassReputation {
		t.Errorf("the provider's other site: %+v", b)
	}
	if o := other.Decide(r.now, 100); o.Open == 0 {
		t.Errorf("another source: %+v", o)
	}
	r.pass(suspendFirst)
	if _, held := r.l.Flow(r.now, 1); held {
		t.Error("a suspension has no end")
	}
	r.connect(100) // the canary
	if e := r.l.Trouble(r.now, 1, r.addr(0), mail.ClassReputation, 0); e.SuspendFlow < 2*suspendFirst*3/4 {
		t.Errorf("the second suspension: %v", e.SuspendFlow)
	}
}

// Trouble of the message or recipient is its own, and shows that the site works.
func TestPrivateTrouble(t *testing.T) {
	for c := mail.ClassNone; c < mail.NumClasses; c++ {
		r := newRig(t, 1, Options{LaneConnections: 4}, Caps{})
		r.grow(4)
		e := r.l.Trouble(r.now, 1, r.addr(0), c, 0)
		if !c.Site() && (!e.Private || e.SuspendFlow != 0 || e.Opened) {
			t.Errorf("%v: %+v", c, e)
		}
		for range 20 {
			e = r.l.Trouble(r.now, 1, r.addr(0), c, 0)
		}
		if c.Site() && e.Private {
			t.Errorf("%v again and again: %+v", c, e)
		}
		if g := r.l.Decide(r.now, 100).Gate; g == GateBreaker != (c.Site() && c != mail.ClassReputation) {
			t.Errorf("%v again and again: gate %v", c, g)
		}
	}
}

// Covers D6, O9.
func TestBoundsOfLaneSourceProviderAndAll(t *testing.T) {
	key := Key{"out", "a.example", "big"}
	tests := []struct {
		name string
		o    Options
		caps Caps
		set  func(s *Scheduler)
		want int
		gate Gate
	}{
		{"lane", Options{}, Caps{Connections: 3}, func(*Scheduler) {}, 3, GateWindow},
		{"source", Options{}, Caps{Connections: 9}, func(s *Scheduler) { s.Source("out", Caps{Connections: 4}) }, 4, GateSource},
		{"provider", Options{}, Caps{Connections: 9}, func(s *Scheduler) { s.Provider("big", Caps{Connections: 5}) }, 5, GateProvider},
		{"all", Options{Connections: 6, NewShare: 0.01}, Caps{Connections: 9}, func(*Scheduler) {}, 6, GateGlobal},
	}
	for _, tt := range tests {
		r := newRig(t, 1, tt.o, Caps{})
		r.l = r.s.Lane(key, tt.caps)
		tt.set(r.s)
		for range 100 {
			r.connect(1000)
			r.l.Success(r.now, 1, r.addr(0), time.Second)
		}
		d := r.l.Decide(r.now, 1000)
		if st := r.l.State(r.now); st.Connections != tt.want || d.Gate != tt.gate || st.Gate != tt.gate || st.Since.IsZero() {
			t.Errorf("%s: %d connections, gate %v; want %d, %v", tt.name, st.Connections, d.Gate, tt.want, tt.gate)
		}
	}
}

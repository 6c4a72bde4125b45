package schedule

import (
	"encoding/json"
	"net/netip"
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

// Over any time no more connections are opened than the rate lets.
// Covers D6.
func TestConnectRate(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{ConnectsPerSecond: 2})
	opened := 0
	for range 10_000 {
		for r.open(1000) > 0 {
			opened++
			r.l.Closed(r.now, netip.Addr{})
		}
		r.pass(time.Millisecond)
	}
	if opened < 20 || opened > 22 {
		t.Errorf("%d connections in ten seconds", opened)
	}
	for r.open(1000) > 0 {
		r.l.Closed(r.now, netip.Addr{})
	}
	if d := r.gate(1000, GateRate); !d.Until.After(r.now) || d.Since.After(r.now) {
		t.Errorf("%+v", d)
	}
}

// No more messages pass than each of the rates lets, and what Take says to wait is
// enough.
// Covers D6.
func TestMessageRates(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{MessagesPerSecond: 5})
	r.s.Source("out", Caps{MessagesPerSecond: 3})
	r.connect(1000)
	taken := 0
	for range 10_000 {
		if ok, _ := r.l.Take(r.now, 1); ok {
			taken++
		}
		r.pass(time.Millisecond)
	}
	if taken < 30 || taken > 33 {
		t.Errorf("%d messages in ten seconds", taken)
	}
	ok, wait := r.l.Take(r.now, 1)
	for ok {
		ok, wait = r.l.Take(r.now, 1)
	}
	if g := r.l.State(r.now); g.Gate != GateSource || g.Since.After(r.now) || !g.Until.After(r.now) {
		t.Errorf("%+v", g)
	}
	r.pass(wait)
	if ok, _ := r.l.Take(r.now, 1); !ok {
		t.Error("no message after the wait")
	}
	for ok = true; ok; {
		ok, _ = r.l.Take(r.now, 1)
	}
	r.close(0)
	if d := r.l.Decide(r.now, 1000); d.Open != 0 || d.Gate != GateSource || d.Until.Sub(r.now) > time.Second/3 {
		t.Errorf("a connection that may not send: %+v", d)
	}
}

// Connections that wait for one rate come back one after the other, not all for the
// same token.
func TestThoseWhoWaitForARateTakeTurns(t *testing.T) {
	r := newRig(t, 1, Options{LaneConnections: 8}, Caps{MessagesPerSecond: 10})
	r.grow(8)
	for ok := true; ok; {
		ok, _ = r.l.Take(r.now, 1)
	}
	seen := map[time.Duration]bool{}
	for range 8 {
		_, wait := r.l.Take(r.now, 1)
		seen[wait.Round(50*time.Millisecond)] = true
	}
	if len(seen) < 7 {
		t.Errorf("8 connections wait for %v", seen)
	}
}

// A lane that waits for a place is told when there is one: the one whose site holds
// fewest.
func TestAPlaceGoesToTheSiteThatHoldsFewest(t *testing.T) {
	s := New(Options{Connections: 20, NewShare: 0.05, Random: half})
	now := epoch
	lane := func(site string) *Lane { return s.Lane(Key{Site: site}, Caps{}) }
	up := func(l *Lane, n int) {
		for range n {
			l.Heard(now, mail.Hearing{Connect: true, Micros: 1})
			l.Success(now, 1, netip.Addr{}, time.Millisecond)
		}
	}
	big, small, none := lane("big"), lane("small"), lane("none")
	up(small, small.Decide(now, 3).Open)
	for range 30 {
		up(big, big.Decide(now, 1000).Open)
	}
	if n := big.State(now).Connections; n != 18 {
		t.Fatalf("big holds %d", n)
	}
	if d := big.Decide(now, 1000); d.Gate != GateGlobal {
		t.Fatalf("big: %v", d.Gate)
	}
	if d := small.Decide(now, 30); d.Gate != GateGlobal {
		t.Fatalf("small: %v", d.Gate)
	}
	if d := none.Decide(now, 1); d.Open != 1 { // the place kept for the new
		t.Fatalf("none: %+v", d)
	}
	up(none, 1)
	now = now.Add(3 * time.Second)
	if d := none.Decide(now, 100); d.Gate != GateGlobal || d.Since != now {
		t.Fatalf("none: %v since %v", d.Gate, d.Since)
	}
	if d := small.Decide(now, 30); d.Since != epoch {
		t.Errorf("small waits since %v", d.Since)
	}
	ended := 0
	for range 100 { // big gives up what others wait for, no more
		if ok, _ := big.Take(now, 1); !ok {
			ended++
		}
	}
	if ended != 3 {
		t.Errorf("big gave up %d", ended)
	}
	var woken []*Lane
	for range ended {
		if w := big.Closed(now, netip.Addr{}); w != nil {
			woken = append(woken, w)
			up(w, w.Decide(now, 100).Open)
		}
	}
	if len(woken) == 0 || woken[0] == big {
		t.Errorf("woken: %d", len(woken))
	}
	if w := s.Waited(now); w[GateGlobal] < 3*time.Second {
		t.Errorf("waited %v at the gate", w[GateGlobal])
	}
}

func TestAProvidersPlaceGoesToWhoWaitsForIt(t *testing.T) {
	s := New(Options{Random: half})
	s.Provider("big", Caps{Connections: 1})
	a, b := s.Lane(Key{"", "a", "big"}, Caps{}), s.Lane(Key{"", "b", "big"}, Caps{})
	if a.Decide(epoch, 10).Open != 1 || b.Decide(epoch, 10).Gate != GateProvider {
		t.Fatal("the provider's bound is not kept")
	}
	if w := a.Closed(epoch, netip.Addr{}); w != b {
		t.Errorf("%v was woken", w)
	}
	if b.Decide(epoch, 10).Open != 1 {
		t.Error("the place is not there")
	}
	if !s.Forget(a) || s.Forget(b) || s.Forget(a) {
		t.Error("a lane with a connection was forgotten, or one without was not")
	}
}

func TestLearnedWindowsSurviveARestart(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{})
	r.grow(16)
	text, err := json.Marshal(r.s.Export(r.now))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		age  time.Duration
		want int
	}{{0, 16}, {12 * time.Hour, 8}, {24 * time.Hour, 4}, {6 * 24 * time.Hour, 2}, {8 * 24 * time.Hour, 2}} {
		var list []Learned
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		s := New(Options{})
		s.Import(r.now.Add(tt.age), list)
		if d := s.Lane(r.l.key, Caps{}).Decide(r.now.Add(tt.age), 1000); d.Open < tt.want || d.Open > tt.want+1 {
			t.Errorf("after %v: %d connections, want %d", tt.age, d.Open, tt.want)
		}
	}
	for range 16 {
		r.close(0)
	}
	r.pass(time.Hour)
	r.s.Forget(r.l)
	r.l = r.s.Lane(r.l.key, Caps{})
	if n := r.open(1000); n < 10 {
		t.Errorf("a lane that was forgotten begins with %d", n)
	}
}

// A clock that is put back by a day opens and closes nothing for longer; that it goes
// back a little, since calls come out of order, changes nothing.
func TestAClockThatIsPutBack(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{})
	for range 3 {
		r.failAll(100)
	}
	left := r.gate(100, GateBreaker).Until.Sub(r.now)
	r.pass(-24 * time.Hour)
	if d := r.gate(100, GateBreaker).Until.Sub(r.now); d != left {
		t.Errorf("open for %v, was %v", d, left)
	}
	r.pass(left)
	if r.open(100) != 1 {
		t.Error("no canary")
	}
	for range 1000 {
		r.l.Success(r.now.Add(-500*time.Millisecond), 1, r.addr(0), time.Second)
	}
	r.pass(time.Millisecond)
	r.pass(-2 * time.Millisecond)
	if st := r.l.State(r.now); st.Gate == GateBreaker {
		t.Errorf("%+v", st)
	}
}

// Every gate has a name of its own.
// Covers O9.
func TestGatesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for g := GateNone; g < NumGates; g++ {
		if name := g.String(); seen[name] || name == "unknown" || name == "" != (g == GateNone) {
			t.Errorf("gate %d is called %q", g, name)
		}
		seen[g.String()] = true
	}
	for b := range uint8(NumBands) {
		if seen[BandName(b)] || BandName(b) == "unknown" {
			t.Errorf("band %d is called %q", b, BandName(b))
		}
		seen[BandName(b)] = true
	}
}

// A site that takes ever longer for a message is given no more connections, until it
// is itself again.
// Covers D7.
func TestASiteThatGetsSlowIsGivenNoMore(t *testing.T) {
	r := newRig(t, 1, Options{LaneConnections: 20}, Caps{})
	r.grow(6)
	work := func(took time.Duration) int {
		for range 60 {
			r.connect(1000)
			r.l.Success(r.now, 1, r.addr(0), took)
		}
		return r.l.State(r.now).Window
	}
	slow := work(8 * time.Second)
	if slow > 9 {
		t.Errorf("8 times as slow, the window grew from 6 to %d", slow)
	}
	if n := work(time.Second); n <= slow {
		t.Errorf("as quick as before, the window stays at %d", n)
	}
}

package schedule

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"postrider/internal/mail"
)

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
	if w := small.State(now).Waited; w[GateGlobal] != 3*time.Second {
		t.Errorf("small waited %v at the gate", w[GateGlobal])
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

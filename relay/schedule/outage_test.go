package schedule

import (
	"fmt"
	"testing"
	"time"

	"postrider/internal/mail"
)

// A source that is blocked at one site is left alone there; other sources at that site
// and other sites by that source carry on.
// Covers Q10.
func TestWorldSourceBlocked(t *testing.T) {
	w := newWorld(t, Options{})
	block := func(*simMail) mail.Class { return mail.ClassReputation }
	a, same, elsewhere := newSite(2, 100*time.Millisecond), newSite(2, 100*time.Millisecond), newSite(2, 100*time.Millisecond)
	a.reply = block
	lanes := []*simLane{
		w.lane(Key{"bad", "a", "big"}, a, Caps{}), w.lane(Key{"good", "a", "big"}, same, Caps{}), w.lane(Key{"bad", "b", ""}, elsewhere, Caps{}),
	}
	for _, l := range lanes {
		for f := range uint32(20) {
			l.send(f, BandNormal, 5_000)
		}
	}
	w.run(time.Hour)
	if a.started > 40 {
		t.Errorf("the site that blocks us saw %d transactions", a.started)
	}
	for i, s := range []*simSite{same, elsewhere} {
		if s.delivered != 100_000 {
			t.Errorf("lane %d delivered %d", i+1, s.delivered)
		}
	}
	if g := lanes[0].gates.State(w.now); g.Gate != GateBreaker && g.Gate != GateCanary || g.Class != mail.ClassReputation {
		t.Errorf("%+v", g)
	}
	a.reply = nil
	w.run(35 * time.Minute)
	if a.delivered == 0 {
		t.Error("nothing is delivered after the block")
	}
}

// Only the sender that a site blocks is held.
// Covers Q10.
func TestWorldOneSenderBlocked(t *testing.T) {
	w := newWorld(t, Options{})
	s := newSite(1, 100*time.Millisecond)
	s.reply = func(m *simMail) mail.Class {
		if m.flow == 3 {
			return mail.ClassReputation
		}
		return mail.ClassNone
	}
	l := w.lane(Key{Site: "a"}, s, Caps{})
	for f := range uint32(5) {
		l.send(f, BandNormal, 1000)
	}
	w.run(time.Hour)
	if s.delivered != 4000 || s.started > 4000+60 {
		t.Errorf("%d delivered in %d transactions", s.delivered, s.started)
	}
	if f, held := l.gates.Flow(w.now, 3); !held || f.Class != mail.ClassReputation {
		t.Errorf("%+v %v", f, held)
	}
}

// An outage of hours costs a site a few probes and what waits nothing; after it the
// first message goes within the longest interval, and the rest slowly at first.
// Covers Q11, Q12.
func TestWorldRampAfterAnOutage(t *testing.T) {
	for _, swallows := range []bool{false, true} {
		w := newWorld(t, Options{})
		s := newSite(3, 500*time.Millisecond)
		l := w.lane(Key{Site: "a"}, s, Caps{})
		for f := range uint32(10) {
			l.send(f, BandNormal, 10_000)
		}
		w.run(time.Minute) // well at first
		for _, h := range s.hosts {
			h.dead = true
			if swallows {
				h.dial = 30 * time.Second
			}
		}
		w.run(5 * time.Minute)
		dials, deferred := s.dials, s.deferred
		w.run(8 * time.Hour)
		if n := s.dials - dials; n > 3*40 || n < 3*8 {
			t.Errorf("%d dials in eight hours", n)
		}
		if s.deferred != deferred || deferred > 2 {
			t.Errorf("%d messages were deferred, %d of them later", s.deferred, s.deferred-deferred)
		}
		if g := l.gates.State(w.now); g.Gate != GateBreaker && g.Gate != GateCanary || g.Since.After(w.now.Add(-time.Second)) {
			t.Errorf("%+v", g)
		}
		for _, h := range s.hosts {
			h.dead, h.dial = false, 20*time.Millisecond
		}
		before, back := s.delivered, w.now
		for s.delivered == before && w.now.Sub(back) < time.Hour {
			w.run(100 * time.Millisecond)
		}
		if d := w.now.Sub(back); d > 31*time.Minute {
			t.Errorf("the first message after %v", d)
		}
		w.run(time.Second)
		if n := s.delivered - before; n > 8 {
			t.Errorf("%d messages within the first second", n)
		}
		w.run(time.Minute)
		if s.open < 18 {
			t.Errorf("a minute later %d connections", s.open)
		}
	}
}

// A wall clock that leaps by a day either way opens and closes nothing for hours, for
// a caller whose times have no monotonic reading.
func TestWorldClockJumps(t *testing.T) {
	for _, leap := range []time.Duration{-24 * time.Hour, 24 * time.Hour, -time.Hour} {
		w := newWorld(t, Options{})
		well, down := newSite(1, 100*time.Millisecond), newSite(1, 100*time.Millisecond)
		down.hosts[0].dead = true
		a, b := w.lane(Key{Site: "a"}, well, Caps{MessagesPerSecond: 50}), w.lane(Key{Site: "b"}, down, Caps{})
		a.send(1, BandNormal, 100_000)
		b.send(1, BandNormal, 100)
		w.run(10 * time.Minute)
		w.skew += leap
		before, dials := well.delivered, down.dials
		w.run(time.Minute)
		if n := well.delivered - before; n < 45*60 || n > 55*60 {
			t.Errorf("leap of %v: %d delivered in a minute at 50 a second", leap, n)
		}
		if n := down.dials - dials; n > 3 {
			t.Errorf("leap of %v: %d dials to a dead site in a minute", leap, n)
		}
		down.hosts[0].dead = false
		w.run(31 * time.Minute)
		if down.delivered != 100 {
			t.Errorf("leap of %v: %d of 100 delivered after the outage", leap, down.delivered)
		}
	}
}

// Sites that take minutes for each message do not hold all connections: a site that is
// quick gets what it can use.
// Covers D6.
func TestWorldTarpits(t *testing.T) {
	run := func(tarpits int) int {
		w := newWorld(t, Options{Connections: 1000})
		for i := range tarpits {
			w.lane(Key{Site: fmt.Sprint("tar", i)}, newSite(1, 7*time.Minute), Caps{}).send(1, BandNormal, 1000)
		}
		w.run(2 * time.Minute)
		quick := newSite(2, 200*time.Millisecond)
		l := w.lane(Key{Site: "quick"}, quick, Caps{})
		l.send(1, BandNormal, 30_000)
		w.run(4 * time.Minute)
		if used, most := w.s.Connections(); used > most {
			t.Errorf("%d connections of %d", used, most)
		}
		return quick.delivered
	}
	for _, n := range []int{500, 700} {
		if got := run(n); got*10 < 4*60*100*9 {
			t.Errorf("%d tarpits: %d delivered, 24000 could be", n, got)
		}
	}
}

// Interactive mail passes what was sent in bulk.
// Covers Q7.
func TestWorldInteractivePassesBulk(t *testing.T) {
	w := newWorld(t, Options{})
	s := newSite(1, 100*time.Millisecond)
	l := w.lane(Key{Site: "a"}, s, Caps{})
	for f := range uint32(100) {
		l.send(f, BandBulk, 1000)
	}
	w.run(time.Minute)
	for i := range 50 {
		l.send(500, BandInteractive, 1)
		w.run(250 * time.Millisecond)
		if s.byFlow[500] != i+1 {
			t.Fatalf("message %d waits behind bulk", i)
		}
	}
}

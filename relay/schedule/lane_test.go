package schedule

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"postrider/internal/mail"
)

var epoch = time.Unix(1_700_000_000, 0)

// rig is a scheduler with one lane to hosts h addresses.
type rig struct {
	t   *testing.T
	s   *Scheduler
	l   *Lane
	now time.Time
	ts  []mail.Target
}

// half is randomness without surprises.
func half() float64 { return 0.5 }

func newRig(t *testing.T, addresses int, o Options, c Caps) *rig {
	t.Helper()
	if o.Random == nil {
		o.Random = half
	}
	r := &rig{t: t, s: New(o), now: epoch, ts: targets(addresses)}
	r.l = r.s.Lane(Key{Source: "out", Site: "mx.example"}, c)
	r.pick()
	return r
}

// targets returns n of one preference.
func targets(n int) []mail.Target {
	ts := make([]mail.Target, n)
	for i := range ts {
		ts[i] = mail.Target{Host: fmt.Sprintf("mx%d.example", i), Preference: 10, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 25)}
	}
	return ts
}

func (r *rig) pick() []mail.Target {
	return r.l.Pick(r.now, append([]mail.Target(nil), r.ts...), 0)
}

func (r *rig) addr(i int) netip.Addr { return r.ts[i].Addr.Addr() }

func (r *rig) pass(d time.Duration) { r.now = r.now.Add(d) }

// open decides and returns how many connections to open.
func (r *rig) open(ready int) int { return r.l.Decide(r.now, ready).Open }

// up says that a connection to address i came up.
func (r *rig) up(i int) {
	r.l.Heard(r.now, mail.Hearing{Target: r.ts[i], Connect: true, Micros: 1000})
}

// refused says that address i did not let a connection come up.
func (r *rig) refused(i int, s mail.Status, class mail.Class) {
	r.l.Heard(r.now, mail.Hearing{Target: r.ts[i], Status: s, Class: class})
}

// dead is what a dial to nobody comes to.
var dead = mail.NewStatus(451, 4, 4, 1, "connection refused")

// busy is the reply of a server that has enough connections.
var busy = mail.NewStatus(421, 4, 7, 0, "too many connections")

func (r *rig) close(i int) { r.l.Closed(r.now, r.addr(i)) }

// failAll opens what the lane lets and has it refused at all addresses, and
// returns how many connections that were.
func (r *rig) failAll(ready int) int {
	n := r.open(ready)
	for range n {
		for _, target := range r.pick() {
			r.l.Heard(r.now, mail.Hearing{Target: target, Status: dead, Class: mail.ClassConnection})
		}
		r.l.Closed(r.now, netip.Addr{})
	}
	return n
}

func (r *rig) gate(ready int, want Gate) Decision {
	r.t.Helper()
	d := r.l.Decide(r.now, ready)
	if d.Gate != want || d.Open != 0 && want != GateNone {
		r.t.Fatalf("%q, %d opened; want gate %q", d.Gate, d.Open, want)
	}
	return d
}

func TestOneMessageGoesThrough(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{})
	if r.open(1) != 1 {
		t.Fatal("no connection")
	}
	r.gate(1, GateNone)
	r.up(0)
	if ok, _ := r.l.Take(r.now, 1); !ok {
		t.Fatal("refused")
	}
	r.l.Success(r.now, 1, r.addr(0), time.Millisecond)
	if w := r.l.Closed(r.now, r.addr(0)); w != nil {
		t.Fatal("somebody waited")
	}
	if n, _ := r.s.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if st := r.l.State(r.now); st.Gate != GateNone || st.Connections != 0 || st.Up != 0 {
		t.Errorf("%+v", st)
	}
}

// A site that is down costs a try or two, then one probe at the end of each
// interval, whatever waits for it.
// Covers Q11, D6.
func TestADownSiteIsProbedAtTheEndOfEachInterval(t *testing.T) {
	for _, addresses := range []int{1, 2, 5} {
		r := newRig(t, addresses, Options{}, Caps{})
		tries := 0
		for range 10 {
			tries += r.failAll(100_000)
		}
		if tries > 2 {
			t.Errorf("%d addresses: %d connections until the breaker opened", addresses, tries)
		}
		var probes []time.Duration
		last := r.now
		for i := 0; len(probes) < 7 && i < 20; i++ {
			d := r.gate(100_000, GateBreaker)
			if d.Since.After(r.now) || !d.Until.After(r.now) {
				t.Fatalf("since %v until %v at %v", d.Since, d.Until, r.now)
			}
			r.pass(d.Until.Sub(r.now) - 1)
			r.gate(100_000, GateBreaker)
			r.pass(1)
			probes = append(probes, r.now.Sub(last))
			last = r.now
			if d := r.l.Decide(r.now, 100_000); d.Open != 1 || !d.Probe || d.Gate != GateCanary {
				t.Fatalf("%+v at the end of the interval", d)
			}
			r.gate(100_000, GateCanary)
			for _, target := range r.pick() {
				r.l.Heard(r.now, mail.Hearing{Target: target, Status: dead, Class: mail.ClassConnection})
			}
			r.l.Closed(r.now, netip.Addr{})
		}
		want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, 30 * time.Minute}
		for i, w := range want {
			w = time.Duration(float64(w) * (leastJitter + (1-leastJitter)/2))
			if d := probes[i] - w; d > time.Second || d < -time.Second {
				t.Errorf("interval %d: %v, want %v", i+1, probes[i], w)
			}
		}
	}
}

// The whole of an interval is spread, and is never more than it.
func TestIntervalsAreJittered(t *testing.T) {
	for _, random := range []float64{0, 0.3, 0.999} {
		r := newRig(t, 1, Options{Random: func() float64 { return random }}, Caps{})
		r.failAll(9)
		r.failAll(9)
		d := r.gate(9, GateBreaker)
		if got, want := d.Until.Sub(r.now), time.Duration(30e9*(0.1+0.9*random)); got/1e6 != want/1e6 {
			t.Errorf("random %v: open for %v, want %v", random, got, want)
		}
	}
}

// trip opens the breaker and waits until it is half open.
func (r *rig) trip() {
	r.t.Helper()
	for range 3 {
		r.failAll(100)
	}
	r.pass(r.gate(100, GateBreaker).Until.Sub(r.now))
}

// Covers Q12.
func TestHalfOpenLetsOneCanaryThroughAndSuccessStartsSlowly(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{})
	r.trip()
	if n := r.open(100); n != 1 {
		t.Fatalf("%d canaries", n)
	}
	r.up(0)
	if ok, _ := r.l.Take(r.now, 1); !ok {
		t.Fatal("the canary was refused")
	}
	if ok, wait := r.l.Take(r.now, 2); ok || wait != 0 {
		t.Fatal("a second canary")
	}
	if !r.l.Success(r.now, 1, r.addr(0), time.Second) {
		t.Error("nobody is told that the site is back")
	}
	opens := []int{}
	for n := 1; n < 16; {
		got := r.open(1000)
		opens = append(opens, got)
		for range got {
			r.up(0)
		}
		n += got
		for range n {
			r.l.Success(r.now, 1, r.addr(0), time.Second)
		}
		if len(opens) > 10 {
			break
		}
	}
	if fmt.Sprint(opens) != "[1 2 4 8]" {
		t.Errorf("opened %v", opens)
	}
}

// A canary that fails as a transaction is not the canary of the next time.
func TestAFailedCanaryGivesWay(t *testing.T) {
	r := newRig(t, 1, Options{}, Caps{})
	r.trip()
	r.open(100)
	r.up(0)
	r.l.Take(r.now, 1)
	e := r.l.Trouble(r.now, 1, r.addr(0), mail.ClassTimeout, 0)
	if !e.Private || !e.Opened {
		t.Errorf("%+v", e)
	}
	r.close(0)
	d := r.gate(100, GateBreaker)
	if d.Until.Sub(r.now) < 31*time.Second {
		t.Errorf("open for %v only", d.Until.Sub(r.now))
	}
}

// A canary that the site refuses for a reason of its own has shown that it works; one
// for which nothing was left to send has shown nothing.
func TestWhatACanaryShows(t *testing.T) {
	r := newRig(t, 2, Options{}, Caps{})
	r.trip()
	r.open(100)
	r.refused(0, dead, mail.ClassConnection) // the second address answers
	r.up(1)
	r.close(1)
	r.pass(barrenFirst)
	if d := r.l.Decide(r.now, 100); d.Open != 1 || d.Gate != GateCanary {
		t.Fatalf("%+v", d)
	}
	r.up(1)
	r.l.Take(r.now, 1)
	if e := r.l.Trouble(r.now, 1, r.addr(1), mail.ClassGreylist, 0); !e.Private || e.Opened {
		t.Errorf("%+v", e)
	}
	if d := r.l.Decide(r.now, 100); d.Open == 0 || d.Probe {
		t.Errorf("%+v", d)
	}
}

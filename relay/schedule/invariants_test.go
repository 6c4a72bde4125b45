package schedule

import (
	"fmt"
	"testing"
	"time"

	"postrider/internal/mail"
)

// mean watches something once in a while and returns its mean.
func (w *world) mean(d, every time.Duration, f func() int) float64 {
	sum, n := 0, 0
	for passed := time.Duration(0); passed < d; passed += every {
		w.run(every)
		sum += f()
		n++
	}
	return float64(sum) / float64(n)
}

// With n senders that have much queued, the first message of a new one starts within
// n plus window transactions of the lane.
// Covers Q6.
func TestWorldFloodFairnessBound(t *testing.T) {
	for _, n := range []int{1, 10, 300} {
		w := newWorld(t, Options{})
		s := newSite(2, 100*time.Millisecond)
		l := w.lane(Key{Site: "a"}, s, Caps{})
		for f := range uint32(n) {
			l.send(f, BandBulk, 60_000/n)
		}
		w.run(20 * time.Second)
		for i := range uint32(10) {
			w.run(time.Duration(w.random.IntN(1000)) * time.Millisecond)
			window := l.gates.State(w.now).Window
			at, waited := s.started, -1
			m := &simMail{bucket: 1<<20 + i*4, flow: 1<<20 + i, band: BandBulk, seen: func() { waited = s.started - at }}
			l.add(m)
			l.wake()
			w.run(time.Duration(n+window) * time.Second)
			if waited < 0 || waited > n+window {
				t.Fatalf("%d flows, window %d: a new one waited for %d transactions", n, window, waited)
			}
		}
	}
}

// One sender's hundred thousand do not hold up another's one message.
// Covers Q6.
func TestWorldFloodOfOneSender(t *testing.T) {
	w := newWorld(t, Options{})
	s := newSite(1, 100*time.Millisecond)
	l := w.lane(Key{Site: "a"}, s, Caps{})
	l.send(1, BandNormal, 100_000)
	w.run(time.Minute)
	for i := range 50 {
		l.send(2, BandNormal, 1)
		w.run(300 * time.Millisecond)
		if s.byFlow[2] != i+1 {
			t.Fatalf("message %d of the second sender waits", i)
		}
	}
}

// What was greylisted together comes back spread: no second sees more than three
// times the mean of the wave.
// Covers Q9, Q10.
func TestWorldGreylistedWave(t *testing.T) {
	const sites, each = 50, 2000
	w := newWorld(t, Options{Connections: 2000})
	first, seconds := time.Time{}, map[int]int{}
	for i := range sites {
		s := newSite(1, time.Millisecond)
		s.reply = func(m *simMail) mail.Class {
			if m.tries == 1 {
				return mail.ClassGreylist
			}
			if first.IsZero() {
				first = w.now
			}
			seconds[int(w.now.Sub(first)/time.Second)]++
			return mail.ClassNone
		}
		w.lane(Key{Site: fmt.Sprint(i)}, s, Caps{}).send(uint32(i), BandNormal, each)
	}
	w.run(time.Hour)
	last, most, sum := 0, 0, 0
	for at, n := range seconds {
		last, most, sum = max(last, at), max(most, n), sum+n
	}
	if sum != sites*each {
		t.Fatalf("%d of %d came back", sum, sites*each)
	}
	if mean := float64(sum) / float64(last+1); float64(most) > 3*mean {
		t.Errorf("%d in one second, the mean is %.0f", most, mean)
	}
}

// throughput is what a site takes in ten minutes of full load after one to warm up.
func throughput(t *testing.T, prepare func(s *simSite)) (delivered int, s *simSite) {
	w := newWorld(t, Options{})
	s = newSite(4, 200*time.Millisecond)
	prepare(s)
	l := w.lane(Key{Site: "a"}, s, Caps{})
	for f := range uint32(10) {
		l.send(f, BandNormal, 5_000)
	}
	w.run(time.Minute)
	before := s.delivered
	w.run(5 * time.Minute)
	return s.delivered - before, s
}

// One dead address of four costs less than a third of the throughput, whether it
// refuses or swallows connections, and whether it was dead from the start.
// Covers D3.
func TestWorldOneDeadAddressOfFour(t *testing.T) {
	full, _ := throughput(t, func(*simSite) {})
	for name, dial := range map[string]time.Duration{"refuses": time.Millisecond, "swallows": 30 * time.Second} {
		got, s := throughput(t, func(s *simSite) { s.hosts[1].dead, s.hosts[1].dial = true, dial })
		if got*10 < full*7 {
			t.Errorf("%s: %d delivered, %d with all four", name, got, full)
		}
		if s.deferred > 2 {
			t.Errorf("%s: %d messages were deferred for it", name, s.deferred)
		}
	}
}

// The slowest address does not draw all connections, though they last longest there.
// Covers D3.
func TestWorldSlowestAddressDrawsNoCrowd(t *testing.T) {
	full, _ := throughput(t, func(*simSite) {})
	got, s := throughput(t, func(s *simSite) { s.hosts[2].takes *= 10 })
	if h := s.hosts[2]; h.most > 8 {
		t.Errorf("the slow address had %d connections at once", h.most)
	}
	if got*10 < full*6 {
		t.Errorf("%d delivered, %d with four quick ones", got, full)
	}
}

// A site that takes L connections and answers 421 to more: the lane rests between
// 0.7 L and L, and hardly ever asks for more.
// Covers D7.
func TestWorldLimiter(t *testing.T) {
	for _, late := range []bool{false, true} {
		for _, limit := range []int{1, 2, 3, 7, 15} {
			w := newWorld(t, Options{})
			s := newSite(2, 100*time.Millisecond)
			s.limit, s.late = limit, late
			l := w.lane(Key{Site: "a"}, s, Caps{})
			for f := range uint32(4) {
				l.send(f, BandNormal, 30_000)
			}
			w.run(time.Minute)
			s.delivered, s.refused, s.deferred = 0, 0, 0
			started := s.started
			mean := w.mean(3*time.Minute, 73*time.Millisecond, func() int { return s.open })
			if mean < 0.7*float64(limit) || mean > float64(limit)*1.02 {
				t.Errorf("limit %d (late %v): %.2f connections", limit, late, mean)
			}
			bad := s.refused + s.started - started - s.delivered
			if bad*20 > s.delivered {
				t.Errorf("limit %d (late %v): %d refused beside %d delivered", limit, late, bad, s.delivered)
			}
			if s.deferred*100 > s.delivered {
				t.Errorf("limit %d (late %v): %d messages deferred beside %d delivered", limit, late, s.deferred, s.delivered)
			}
		}
	}
}

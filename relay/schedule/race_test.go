package schedule

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"postrider/internal/mail"
)

// Many connections of many lanes use a scheduler at once; in the end nothing is held,
// nobody waits, and no bound was passed.
func TestSchedulerIsSafeForConcurrentUse(t *testing.T) {
	s := New(Options{Connections: 20})
	s.Provider("big", Caps{Connections: 8})
	s.Source("out0", Caps{MessagesPerSecond: 1e6, Connections: 15})
	var lanes []*Lane
	for i := range 12 {
		k := Key{Source: fmt.Sprint("out", i%2), Site: fmt.Sprint("site", i/2)}
		if i%3 == 0 {
			k.Provider = "big"
		}
		lanes = append(lanes, s.Lane(k, Caps{}))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			now := epoch
			for range 2000 {
				now = now.Add(time.Duration(random.IntN(int(time.Second))))
				l := lanes[random.IntN(len(lanes))]
				for range l.Decide(now, 1+random.IntN(100)).Open {
					useOnce(l, now, random)
				}
				l.State(now)
				if open, most := s.Connections(); open > most {
					t.Errorf("%d connections of %d", open, most)
				}
			}
		})
	}
	wg.Wait()
	if open, _ := s.Connections(); open != 0 || s.leaving != 0 || s.unsure != 0 {
		t.Errorf("%d connections are left, %d that leave, %d unsure", open, s.leaving, s.unsure)
	}
	late := epoch.Add(1000 * time.Hour)
	s.Waited(late)
	s.Export(late)
	for _, l := range lanes {
		l.Decide(late, 0)
		if l.conns != 0 || l.up != 0 || l.list != nil || l.source.conns != 0 || l.site.held != 0 {
			t.Errorf("%+v: %d connections, %d up", l.key, l.conns, l.up)
		}
		for _, p := range l.peers {
			if p.open != 0 {
				t.Errorf("%d connections to %v are left", p.open, p.addr)
			}
		}
		if !s.Forget(l) {
			t.Errorf("%+v is not forgotten", l.key)
		}
	}
	if len(s.sites) != 0 || len(s.quick)+len(s.slow) != 0 {
		t.Errorf("%d sites are left, %d wait", len(s.sites), len(s.quick)+len(s.slow))
	}
}

// useOnce is the life of a connection.
func useOnce(l *Lane, now time.Time, random *rand.Rand) {
	ts := l.Pick(now, targets(4), 2)
	h := mail.Hearing{Target: ts[0], Connect: random.IntN(4) > 0, Status: dead, Class: mail.ClassConnection}
	l.Heard(now, h)
	addr := netip.Addr{}
	if h.Connect {
		addr = ts[0].Addr.Addr()
		for range random.IntN(5) {
			flow := uint32(random.IntN(5))
			if ok, _ := l.Take(now, flow); !ok {
				break
			}
			if random.IntN(4) > 0 {
				l.Success(now, flow, addr, time.Duration(random.IntN(int(20*time.Second))))
			} else {
				l.Trouble(now, flow, addr, mail.Class(random.IntN(mail.NumClasses)), 0)
			}
		}
	}
	if w := l.Closed(now, addr); w != nil {
		for range w.Decide(now, 5).Open {
			w.Closed(now, netip.Addr{})
		}
	}
}

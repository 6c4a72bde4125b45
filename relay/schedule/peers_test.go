package schedule

import (
	"testing"
	"time"

	"postrider/internal/mail"
)

// One address that is dead is passed over, and neither shrinks the window nor opens
// the breaker.
// Covers D3.
func TestADeadAddressIsEjected(t *testing.T) {
	r := newRig(t, 4, Options{}, Caps{})
	size := r.l.State(r.now).Window
	for round := range 5 {
		if r.open(100) == 0 {
			t.Fatalf("round %d: gate %v", round, r.l.State(r.now).Gate)
		}
		r.refused(0, dead, mail.ClassConnection)
		r.up(1)
		r.l.Success(r.now, 1, r.addr(1), time.Second)
		st := r.l.State(r.now)
		if st.Window < size || len(st.Ejected) != 1 {
			t.Fatalf("window %d, ejected %v", st.Window, st.Ejected)
		}
		for range 100 {
			for _, target := range r.pick() {
				if target.Addr == r.ts[0].Addr {
					t.Fatal("a dead address is tried")
				}
			}
		}
		r.close(1)
		back := 30 * time.Second << round
		r.pass(back - 1)
		if len(r.l.State(r.now).Ejected) != 1 {
			t.Errorf("round %d: back before %v", round, back)
		}
		r.pass(1)
		if len(r.l.State(r.now).Ejected) != 0 {
			t.Errorf("round %d: not back after %v", round, back)
		}
	}
}

func TestAtMostHalfOfTheAddressesAreEjected(t *testing.T) {
	for _, tt := range []struct{ addresses, most int }{{1, 0}, {2, 1}, {3, 1}, {4, 2}, {5, 2}} {
		r := newRig(t, tt.addresses, Options{}, Caps{})
		r.open(100)
		for i := range tt.addresses {
			r.refused(i, dead, mail.ClassConnection)
		}
		if n := len(r.l.State(r.now).Ejected); n != tt.most {
			t.Errorf("%d of %d addresses are ejected, want %d", n, tt.addresses, tt.most)
		}
	}
}

// An address that takes connections and then drops the transactions is passed over,
// too.
func TestAnAddressThatDropsTransactionsIsEjected(t *testing.T) {
	r := newRig(t, 4, Options{}, Caps{})
	for range 3 {
		r.open(100)
		r.up(0)
		r.up(1)
		r.l.Success(r.now, 1, r.addr(1), time.Second)
		if e := r.l.Trouble(r.now, 1, r.addr(0), mail.ClassTimeout, 0); !e.Private || e.Opened {
			t.Fatalf("%+v", e)
		}
		r.close(0)
		r.close(1)
	}
	if n := r.l.State(r.now).Ejected; len(n) != 1 || n[0] != r.addr(0) {
		t.Errorf("ejected: %v", n)
	}
}

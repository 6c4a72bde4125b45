package schedule

import (
	"net/netip"
	"testing"
	"time"

	"postrider/internal/mail"
)

func TestOneMessageGoesThrough(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := New(Options{})
	l := s.Lane(Key{Site: "mx.example"}, Caps{})
	d := l.Decide(now, 1)
	if d.Open != 1 || d.Gate != GateNone {
		t.Fatalf("%+v", d)
	}
	target := mail.Target{Addr: netip.MustParseAddrPort("192.0.2.1:25")}
	if got := l.Pick(now, []mail.Target{target}, 0); len(got) != 1 {
		t.Fatal("no target")
	}
	l.Heard(now, mail.Hearing{Target: target, Connect: true, Micros: 1000})
	if ok, _ := l.Take(now, 1); !ok {
		t.Fatal("refused")
	}
	l.Success(now, 1, target.Addr.Addr(), time.Millisecond)
	if w := l.Closed(now, target.Addr.Addr()); w != nil {
		t.Fatal("somebody waited")
	}
	if n, _ := s.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

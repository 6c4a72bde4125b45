package pop3_test

import (
	"net"
	"strings"
	"testing"

	"postrider/access/pop3"
	"postrider/internal/wire"
)

// Connections beyond the caps are told so and get no session; others are served.
//
// Covers HR2.
func TestCaps(t *testing.T) {
	h := newHouse("user")
	o := &pop3.Options{Limits: pop3.Limits{Connections: 5, ConnectionsPerClient: 3}}
	_, dial := start(t, o, h)
	first := func(nc net.Conn) string {
		t.Helper()
		t.Cleanup(func() { _ = nc.Close() })
		b := make([]byte, 200)
		n, err := nc.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	other := func() net.Conn {
		nc := dial()
		to := nc.RemoteAddr().String()
		_ = nc.Close()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
		nc, err := d.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}
	for range 3 {
		if got := first(dial()); !strings.HasPrefix(got, "+OK ") {
			t.Fatal(got)
		}
	}
	if got := first(dial()); got != "-ERR [SYS/TEMP] Too many connections from your address\r\n" {
		t.Error(got)
	}
	if got := first(other()); !strings.HasPrefix(got, "+OK ") {
		t.Error(got)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == 0 || h.events[0].Kind != pop3.Refused || h.events[0].Conn.Ended != wire.ReasonPerClient {
		t.Errorf("%+v", h.events)
	}
}

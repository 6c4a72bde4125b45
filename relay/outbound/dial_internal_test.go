package outbound

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/mail"
)

// The kernel gives up a peer that vanished: one that has data on its way to it
// after two minutes, one that is waited for after as long.
// Covers D11.
func TestVanishedPeer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := &session{t: New(Options{}), eg: &mail.Egress{Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: l.Addr().String()}}}
	s.tries.begin(s.eg, 5)
	d := s.dialOne(t.Context(), 0)
	if d.err != nil {
		t.Fatal(d.err)
	}
	defer func() { _ = d.conn.Close() }()
	raw, err := d.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	get := func(level, option int) (value int) {
		var failure error
		if err := raw.Control(func(fd uintptr) { value, failure = unix.GetsockoptInt(int(fd), level, option) }); err != nil || failure != nil {
			t.Fatal(err, failure)
		}
		return value
	}
	if ms := get(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); time.Duration(ms)*time.Millisecond != vanished {
		t.Errorf("data may wait %d ms", ms)
	}
	idle := get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE) + get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)*get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
	if get(unix.SOL_SOCKET, unix.SO_KEEPALIVE) == 0 || time.Duration(idle)*time.Second > vanished {
		t.Errorf("noticed after %d s", idle)
	}
}

package outbound

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialled is what came of dialling a target.
type dialled struct {
	at    int // in the list of targets
	began time.Time
	conn  net.Conn
	err   error // nil with conn nil: given up, since another was faster, or never begun
}

// dial dials target i, and after a moment the first of the other family beside
// it (RFC 8305). Addresses of one family are tried one by one: servers count
// connections, and one that comes to nothing counts, too.
func (s *session) dial(ctx context.Context, i int) (won, lost dialled) {
	r := &s.tries
	r.tried[i] = true
	r.addresses++
	j := r.other(i)
	if j < 0 || r.addresses >= r.most {
		return s.dialOne(ctx, i), dialled{}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialled, 2)
	go func() { results <- s.dialOne(ctx, i) }()
	stagger := time.NewTimer(s.t.o.Stagger)
	defer stagger.Stop()
	select {
	case won = <-results:
		return won, dialled{} // the other's turn comes if this one failed
	case <-stagger.C:
	}
	r.tried[j] = true
	r.addresses++
	go func() { results <- s.dialOne(ctx, j) }()
	if won = <-results; won.err != nil {
		lost = won
		won = <-results
		return won, lost
	}
	cancel()
	if lost = <-results; lost.conn != nil {
		_ = lost.conn.Close() // it has not been used
	}
	return won, dialled{at: lost.at, began: lost.began}
}

// dialOne dials target i. It only reads s.
func (s *session) dialOne(ctx context.Context, i int) dialled {
	d := dialled{at: i, began: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, s.t.o.Dial)
	defer cancel()
	network, address := s.eg.Hop.Network, s.eg.Hop.Address
	if target := &s.tries.list[i]; target.Addr.IsValid() {
		network, address = "tcp", target.Addr.String()
	}
	if s.t.o.Connect != nil {
		d.conn, d.err = s.t.o.Connect(ctx, network, address)
		return d
	}
	dialer := net.Dialer{
		Control: s.prepare,
		// With the system's own figures a peer that vanished while we wait for
		// its reply would be noticed after more than two hours.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 20 * time.Second, Count: 3},
	}
	d.conn, d.err = dialer.DialContext(ctx, network, address)
	return d
}

// vanished is how long data may wait for the peer's system to confirm it.
const vanished = 2 * time.Minute

// prepare makes a socket come from the source's address of its family. It is
// bound before the port is chosen, so that the ports of one source are as many
// for each target as the system has.
func (s *session) prepare(network, _ string, raw syscall.RawConn) error {
	local := s.eg.Source.V4
	if network == "tcp6" {
		local = s.eg.Source.V6
	}
	if !local.IsValid() {
		if a := s.t.o.LocalAddress; a.IsValid() && a.Unmap().Is4() == (network == "tcp4") {
			local = a
		}
	}
	var failure error
	err := raw.Control(func(fd uintptr) {
		if network != "tcp4" && network != "tcp6" {
			return
		}
		// Failing to set it costs the time until the deadline, no more.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(vanished/time.Millisecond))
		if local.IsValid() {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // else a port of its own
			failure = bindTo(int(fd), local)
		}
	})
	if err != nil {
		return err
	}
	return failure
}

func bindTo(fd int, a netip.Addr) error {
	a = a.Unmap()
	if a.Is4() {
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: a.As4()}))
	}
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet6{Addr: a.As16()}))
}

package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// ErrForeign reports a destination outside loopback and private networks.
var ErrForeign = errors.New("load: this destination is neither loopback nor private; say that you own the network")

// own reports whether a is an address that strangers can't have.
func own(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// checkNetwork refuses an address at once that dial would refuse.
func (o *Options) checkNetwork() error {
	if o.IOwnThisNetwork || strings.HasPrefix(o.Address, "unix:") {
		return nil
	}
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if a, err := netip.ParseAddr(host); err == nil && !own(a) && !a.IsUnspecified() {
		return fmt.Errorf("%w: %s", ErrForeign, a)
	}
	return nil
}

// control refuses what a name has turned out to mean.
func control(network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !own(a.Addr()) && !a.Addr().IsUnspecified() {
		return fmt.Errorf("%w: %s", ErrForeign, a.Addr())
	}
	return nil
}

func (s *SMTP) dial(ctx context.Context, worker int) (net.Conn, error) {
	d := net.Dialer{Timeout: s.o.Timeout}
	if !s.o.IOwnThisNetwork {
		d.Control = control
	}
	if n := len(s.o.Sources); n > 0 && s.network == "tcp" {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.o.Sources[worker%n], 0))
	}
	return d.DialContext(ctx, s.network, s.o.Address)
}

package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// bind is a listener of a farm.
type bind struct {
	l  net.Listener
	at *place // nil: several share it
}

// Listen binds every address. Serve answers there; Close gives them up.
func (f *Farm) Listen() error {
	if f.o.Front != "" {
		network, address := "tcp", f.o.Front
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			network, address = "unix", path
		}
		l, err := net.Listen(network, address)
		if err != nil {
			return fmt.Errorf("sink: %w", err)
		}
		f.front = l
		f.binds = append(f.binds, bind{l: l})
	}
	if !f.o.Spread {
		return nil
	}
	var err error
	for range 10 { // a port that the system has chosen for one address may be taken at another
		if err = f.spread(); err == nil || f.o.Port != 0 {
			break
		}
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// spread gives each destination its address.
func (f *Farm) spread() error {
	next := f.o.First
	if !next.IsValid() {
		next = netip.AddrFrom4([4]byte{127, 64, 0, 1})
	}
	port := f.o.Port
	var bound []bind
	fail := func(err error) error {
		for _, b := range bound {
			err = errors.Join(err, b.l.Close())
		}
		return fmt.Errorf("sink: %w", err)
	}
	listen := func(at *place) (netip.AddrPort, error) {
		l, err := net.Listen("tcp", netip.AddrPortFrom(next, uint16(port)).String())
		if err != nil {
			return netip.AddrPort{}, err
		}
		bound = append(bound, bind{l, at})
		a := l.Addr().(*net.TCPAddr).AddrPort()
		port, next = int(a.Port()), next.Next()
		return a, nil
	}
	var hosts []netip.AddrPort
	shared := 0
	for _, p := range f.places {
		if f.o.Hosts > 0 && (p.b.plain || !p.b.needsAddress()) {
			if len(hosts) < f.o.Hosts {
				a, err := listen(nil)
				if err != nil {
					return fail(err)
				}
				hosts = append(hosts, a)
			}
			f.addrs[p] = hosts[shared%len(hosts)]
			shared++
			continue
		}
		a, err := listen(p)
		if err != nil {
			return fail(err)
		}
		f.addrs[p] = a
	}
	f.binds = append(f.binds, bound...)
	return nil
}

// FrontAddr returns the address that takes mail for every domain, "" when there is
// none.
func (f *Farm) FrontAddr() string {
	if f.front == nil {
		return ""
	}
	return f.front.Addr().String()
}

// Addr returns where mail for a domain goes: its own address, one that it shares,
// or the front; that of a domain that nobody has named is for all such. It is zero
// before Listen.
func (f *Farm) Addr(domain string) netip.AddrPort {
	if a, ok := f.addrs[f.find([]byte(strings.ToLower(domain)))]; ok {
		return a
	}
	if f.front == nil {
		return netip.AddrPort{}
	}
	if a, ok := f.front.Addr().(*net.TCPAddr); ok {
		return a.AddrPort()
	}
	return netip.AddrPort{}
}

// Close gives up what Listen has bound, for a Farm that is never served.
func (f *Farm) Close() error {
	var err error
	for _, b := range f.binds {
		err = errors.Join(err, b.l.Close())
	}
	f.binds = nil
	return err
}

// Serve answers at every address until ctx ends, then closes every connection and
// returns nil when all is still.
func (f *Farm) Serve(ctx context.Context) error {
	if len(f.binds) == 0 {
		return errors.New("sink: Serve before Listen")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, len(f.binds))
	var wg sync.WaitGroup
	for _, b := range f.binds {
		wg.Go(func() {
			err := f.serve(ctx, b)
			if err != nil {
				cancel() // one address less would be another measurement
			}
			errs <- err
		})
	}
	wg.Wait()
	var all error
	for range f.binds {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (f *Farm) serve(ctx context.Context, b bind) error {
	if f.o.GoSMTP {
		return f.serveGoSMTP(ctx, b)
	}
	return f.server.serveAt(ctx, b.l, b.at)
}

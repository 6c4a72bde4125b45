package app

import (
	"context"
	"fmt"
	"net"
	"sync"

	"go.uber.org/zap"

	"postrider/internal/config"
	"postrider/internal/metrics"
)

// protocol holds the sessions of one listener, whatever they speak.
type protocol interface {
	Serve(l net.Listener) error
	ServeShared(l net.Listener) error
	Drain() error
	Settle(ctx context.Context) error
	Close() error
	Wait()
	Open() int
}

// server is one listener with its sessions.
type server struct {
	conf     config.Listener
	listener net.Listener
	shared   bool // the service manager holds the listener too
	protocol protocol
	// reload gives new sessions the options that cfg asks for.
	reload func(cfg *config.Config)
	counts func() metrics.Listener
	served sync.WaitGroup
}

// openServers binds every listener of the configuration before any serves, so
// that a port in use ends the start and not half of it.
func (a *App) openServers(sockets inherited) error {
	for _, c := range a.cfg.Listeners {
		l, shared, err := sockets.open(c)
		if err != nil {
			return err
		}
		s := &server{conf: c, listener: l, shared: shared}
		switch c.Service {
		case config.ServicePOP3, config.ServicePOP3S:
			a.openPOP3(s)
		case config.ServiceIMAP, config.ServiceIMAPS:
			a.openIMAP(s)
		default:
			a.openSMTP(s)
		}
		a.servers = append(a.servers, s)
	}
	return nil
}

func (s *server) serve(a *App) {
	serve := s.protocol.Serve
	if s.shared {
		serve = s.protocol.ServeShared
	}
	s.served.Go(func() {
		if err := serve(s.listener); err != nil {
			a.diag.Error("a listener ended", zap.String("listener", s.conf.Address), zap.Error(err))
			a.end(fmt.Errorf("listener %s: %w", s.conf.Address, err))
		}
	})
}

// settle returns when no session of a server that drains is left. The error tells
// that the end of ctx cut sessions off.
func (s *server) settle(ctx context.Context) error {
	err := s.protocol.Settle(ctx)
	s.protocol.Wait()
	if err != nil {
		return fmt.Errorf("sessions of %s were cut off: %w", s.conf.Address, err)
	}
	return nil
}

// close ends the accepting; until then new clients were told 421.
func (s *server) close() {
	_ = s.protocol.Close() // nothing is open any more
	_ = s.listener.Close() // closed by that when it was served; else it is of no use any more
	s.served.Wait()
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"go.uber.org/zap"

	"postrider/internal/autoconfig"
	"postrider/internal/config"
)

// settings is the listener at which mail programs learn how to reach us.
type settings struct {
	listener net.Listener
	http     *autoconfig.HTTP
	served   sync.WaitGroup
}

// openSettings binds the listener, if there shall be one.
func (a *App) openSettings() error {
	if a.cfg.Autoconfig.Address == "" {
		return nil
	}
	l, err := net.Listen("tcp", a.cfg.Autoconfig.Address)
	if err != nil {
		return fmt.Errorf("[autoconfig] address: %w", err)
	}
	hosts := a.offered(l.Addr())
	a.settings = &settings{listener: l, http: autoconfig.New(autoconfig.Options{
		Domains: func() []string { return a.reloaded.Load().cfg.Local.Domains },
		Servers: func() []autoconfig.Server { return hosts },
	})}
	return nil
}

// SettingsAddress returns where mail programs ask for their settings; "": nowhere.
func (a *App) SettingsAddress() string {
	if a.settings == nil {
		return ""
	}
	return a.settings.listener.Addr().String()
}

// offered are our listeners that a mail program can use which may come from where
// asked is bound. None is told of at which a password would go in clear.
func (a *App) offered(asked net.Addr) (list []autoconfig.Server) {
	here := loopback(asked)
	for _, s := range a.servers {
		o := autoconfig.Server{Host: a.cfg.Hostname, Security: autoconfig.STARTTLS}
		switch s.conf.Service {
		case config.ServiceIMAP:
			o.Kind = autoconfig.IMAP
		case config.ServiceIMAPS:
			o.Kind, o.Security = autoconfig.IMAP, autoconfig.TLS
		case config.ServicePOP3:
			o.Kind = autoconfig.POP3
		case config.ServicePOP3S:
			o.Kind, o.Security = autoconfig.POP3, autoconfig.TLS
		case config.ServiceSubmission:
			o.Kind = autoconfig.Submission
		case config.ServiceSubmissions:
			o.Kind, o.Security = autoconfig.Submission, autoconfig.TLS
		default:
			continue
		}
		at, err := netip.ParseAddrPort(s.listener.Addr().String())
		if !here && loopback(s.listener.Addr()) {
			continue // those who ask cannot reach it
		}
		if err != nil || o.Security == autoconfig.STARTTLS && s.conf.TLS == config.TLSOff {
			continue // a unix socket, or in clear
		}
		o.Port = at.Port()
		list = append(list, o)
	}
	return list
}

// loopback reports an address that only this machine reaches.
func loopback(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().IsLoopback()
}

func (s *settings) serve(a *App) {
	s.served.Go(func() {
		if err := s.http.Serve(s.listener); err != nil {
			a.diag.Error("autoconfig ended", zap.Error(err))
		}
	})
}

// close lets requests finish until ctx ends.
func (s *settings) close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	s.served.Wait()
	if closed := s.listener.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}

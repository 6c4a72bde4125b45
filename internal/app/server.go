package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"postrider/internal/config"
	"postrider/internal/maillog"
	"postrider/relay/policy"
	"postrider/relay/smtpd"
)

// server is one listener with its sessions.
type server struct {
	conf     config.Listener
	listener net.Listener
	shared   bool // the service manager holds the listener too
	smtpd    *smtpd.Server
	options  atomic.Pointer[smtpd.Options] // swapped by a reload; sessions take it as they begin
	metrics  smtpd.Metrics
	served   sync.WaitGroup
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
		s.options.Store(a.sessionOptions(s, a.cfg))
		s.smtpd = smtpd.NewServer(c.Address, a.census, s.options.Load)
		a.servers = append(a.servers, s)
	}
	return nil
}

// sessionOptions is how a listener's new sessions are held under cfg.
func (a *App) sessionOptions(s *server, cfg *config.Config) *smtpd.Options {
	lmtp := s.conf.Service == config.ServiceLMTP
	access := accessOf(cfg)
	o := &smtpd.Options{
		Hostname:   cfg.Hostname,
		Handler:    a.engine.Handler(lmtp),
		LMTP:       lmtp,
		RequireTLS: s.conf.TLS == config.TLSRequired,
		Limits:     limitsOf(cfg),
		Exempt:     exempt(access),
		Metrics:    &s.metrics,
		Events:     a.rejected,
	}
	if s.conf.TLS != config.TLSOff {
		o.TLS = func() *tls.Config { return a.certs.Config() }
	}
	if cfg.Relay.LineEndings == "normalize" {
		o.LineEndings = smtpd.Normalize
	}
	return o
}

func exempt(access *policy.Rules) func(netip.Addr) bool { return access.Trusted }

func limitsOf(cfg *config.Config) smtpd.Limits {
	l := cfg.Limits
	return smtpd.Limits{
		MessageBytes:         cfg.Relay.MaxMessageSize,
		HeaderBytes:          int(l.Header),
		Received:             l.Hops,
		Recipients:           l.Recipients,
		Junk:                 l.JunkCommands,
		ConnectionsPerClient: l.ConnectionsPerClient,
		Connections:          l.Connections,
		Handshake:            l.HandshakeTimeout,
		Command:              l.CommandTimeout,
		Stress:               l.StressTimeout,
		DataGrace:            l.DataGrace,
		DataRate:             cmp.Or(l.DataRate, -1), // 0 asks for none
	}
}

func (s *server) serve(a *App) {
	serve := s.smtpd.Serve
	if s.shared {
		serve = s.smtpd.ServeShared
	}
	s.served.Go(func() {
		if err := serve(s.listener); err != nil {
			a.diag.Error("a listener ended", zap.String("listener", s.conf.Address), zap.Error(err))
			select {
			case a.fatal <- fmt.Errorf("listener %s: %w", s.conf.Address, err):
			default: // something fatal was said already
			}
		}
	})
}

// settle returns when no session of a server that drains is left. The error tells
// that the end of ctx cut sessions off.
func (s *server) settle(ctx context.Context) error {
	err := s.smtpd.Settle(ctx)
	s.smtpd.Wait()
	if err != nil {
		return fmt.Errorf("sessions of %s were cut off: %w", s.conf.Address, err)
	}
	return nil
}

// close ends the accepting; until then new clients were told 421.
func (s *server) close() {
	_ = s.smtpd.Close()    // nothing is open any more
	_ = s.listener.Close() // closed by that when it was served; else it is of no use any more
	s.served.Wait()
}

// rejected writes the event of a reply that refused something.
func (a *App) rejected(e smtpd.RejectEvent) {
	s := maillog.Session{
		ID: e.Conn.ID, Client: e.Conn.Remote, Helo: e.Conn.Helo, Listener: e.Conn.Listener,
		Protocol: e.Conn.Protocol(), TLS: e.Conn.TLSVersion(),
	}
	if e.Panic != nil {
		a.log.Panic(&s, e.Panic, e.PanicText)
		return
	}
	command := strings.ToLower(e.Command) // a word of the program, never of the client
	a.metrics.Rejected(e.Conn.Listener, command, e.Status.Code, e.Rule)
	r := maillog.Rejection{Session: s, Command: command, From: e.Sender, Status: e.Status, Rule: e.Rule}
	switch command {
	case "mail":
		r.From = path(e.Argument)
	case "rcpt":
		r.To = path(e.Argument)
	}
	a.log.Rejected(&r)
}

// path returns what stands between the brackets of an argument of MAIL or RCPT:
// the address as the client wrote it. Without brackets there is none.
func path(argument []byte) []byte {
	_, rest, open := bytes.Cut(argument, []byte("<"))
	if end := bytes.LastIndexByte(rest, '>'); open && end >= 0 {
		return rest[:end]
	}
	return nil
}

package app

import (
	"context"
	"crypto/tls"
	"sync/atomic"

	"go.uber.org/zap"

	"postrider/access/pop3"
	"postrider/internal/auth"
	"postrider/internal/config"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
)

// openPOP3 makes s a listener of POP3.
func (a *App) openPOP3(s *server) {
	var (
		options atomic.Pointer[pop3.Options] // swapped by a reload; sessions take it as they begin
		counted pop3.Metrics
	)
	s.reload = func(cfg *config.Config) { options.Store(a.pop3Options(s.conf, &counted, cfg)) }
	s.reload(a.cfg)
	s.protocol = pop3.NewServer(s.conf.Address, a.census, options.Load)
	s.counts = func() metrics.Listener {
		m := &counted
		return metrics.Listener{
			Name:        s.conf.Address,
			Connections: m.Connections.Load(), SessionsOK: m.Accepted.Load(), Refused: m.Refused.Load(),
			Panics: m.Panics.Load(), Messages: m.Retrieved.Load(), Bytes: m.Bytes.Load(),
			HandshakesOK: m.Handshakes.Load(), HandshakesBad: m.HandshakeErr.Load(), AcceptErrors: m.AcceptErrors.Load(),
		}
	}
}

// pop3Options is how a listener's new sessions are held under cfg.
func (a *App) pop3Options(c config.Listener, m *pop3.Metrics, cfg *config.Config) *pop3.Options {
	l := cfg.Limits
	o := &pop3.Options{
		Hostname:    cfg.Hostname,
		Auth:        a.users.auth,
		Open:        a.openDrop,
		Drops:       a.drops,
		ImplicitTLS: c.Service == config.ServicePOP3S,
		RequireTLS:  c.TLS == config.TLSRequired,
		ClearLogin:  clearLogin(cfg, c),
		Exclusive:   cfg.POP3.Exclusive,
		LoginDelay:  cfg.POP3.LoginDelay,
		ExpireDays:  max(cfg.POP3.Expire, 0),
		Limits: pop3.Limits{
			ConnectionsPerClient: l.ConnectionsPerClient,
			Connections:          l.Connections,
			Handshake:            l.HandshakeTimeout,
			Stress:               l.StressTimeout,
		},
		Exempt:  exempt(accessOf(cfg)),
		Metrics: m,
		Events:  a.fetched,
	}
	if c.TLS != config.TLSOff || o.ImplicitTLS {
		o.TLS = func() *tls.Config { return a.certs.Config() }
	}
	return o
}

// openDrop opens a user's INBOX.
func (a *App) openDrop(ctx context.Context, user *auth.User) (pop3.Maildrop, error) {
	account, err := a.accountOf(ctx, user.Name)
	if err != nil {
		return nil, err
	}
	return pop3.OpenInbox(ctx, a.mailboxes, account.Name())
}

// fetched writes down what happened on a connection of POP3. Logins are written
// where they are checked.
func (a *App) fetched(e pop3.Event) {
	switch e.Kind {
	case pop3.Panicked:
		a.log.Panic(&maillog.Session{ID: e.Conn.ID, Client: e.Conn.Remote, Listener: e.Conn.Listener}, e.Panic, e.Stack)
	case pop3.Trouble:
		a.diag.Warn("a mailbox could not be read", zap.Uint64("session", e.Conn.ID), zap.String("user", e.Conn.User), zap.Error(e.Err))
	}
}

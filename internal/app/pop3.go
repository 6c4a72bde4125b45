package app

import (
	"context"

	"postrider/access/pop3"
	"postrider/internal/auth"
	"postrider/internal/config"
)

// openPOP3 makes s a listener of POP3.
func (a *App) openPOP3(s *server) {
	m := &pop3.Metrics{}
	options := held(a, s, func(c config.Listener, cfg *config.Config) *pop3.Options { return a.pop3Options(c, m, cfg) })
	s.protocol = pop3.NewServer(s.conf.Address, a.census, options)
	s.count(counters{
		open: &m.Connections, accepted: &m.Accepted, refused: &m.Refused, panics: &m.Panics, messages: &m.Retrieved, bytes: &m.Bytes,
		handshakes: &m.Handshakes, handshakeErr: &m.HandshakeErr, acceptErrors: &m.AcceptErrors,
	})
}

// pop3Options is how a listener's new sessions are held under cfg.
func (a *App) pop3Options(c config.Listener, m *pop3.Metrics, cfg *config.Config) *pop3.Options {
	l := cfg.Limits
	return &pop3.Options{
		Hostname:    cfg.Hostname,
		Auth:        a.users.auth,
		Open:        a.openDrop,
		Drops:       a.drops,
		TLS:         a.offeredTLS(c),
		ImplicitTLS: c.Service.ImplicitTLS(),
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
}

// openDrop opens a user's INBOX.
func (a *App) openDrop(ctx context.Context, user *auth.User) (pop3.Maildrop, error) {
	account, err := a.accountOf(ctx, user)
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
		a.sessionPanicked(e.Conn.ID, e.Conn.Remote, e.Conn.Listener, e.Panic, e.Stack)
	case pop3.Trouble:
		a.mailboxTrouble(e.Conn.ID, e.Conn.User, e.Err)
	}
}

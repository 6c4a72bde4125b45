package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"postrider/access/imap"
	"postrider/delivery/mailbox"
	"postrider/internal/auth"
	"postrider/internal/config"
)

// openIMAP makes s a listener of IMAP.
func (a *App) openIMAP(s *server) {
	m := &imap.Metrics{}
	options := held(a, s, func(c config.Listener, cfg *config.Config) *imap.Options { return a.imapOptions(c, m, cfg) })
	s.protocol = imap.NewServer(s.conf.Address, a.census, options)
	s.count(counters{
		open: &m.Connections, accepted: &m.Accepted, refused: &m.Refused, panics: &m.Panics, messages: &m.Fetched, bytes: &m.Bytes,
		handshakes: &m.Handshakes, handshakeErr: &m.HandshakeErr, acceptErrors: &m.AcceptErrors,
	})
}

// idleSlack keeps a deadline, which may be a second early, from cutting off a client
// that speaks at the last moment.
const idleSlack = 5 * time.Second

// imapOptions is how a listener's new sessions are held under cfg.
func (a *App) imapOptions(c config.Listener, m *imap.Metrics, cfg *config.Config) *imap.Options {
	l := cfg.Limits
	o := &imap.Options{
		Hostname:    cfg.Hostname,
		Auth:        a.users.auth,
		Open:        a.openAccount,
		Store:       a.mailboxes,
		Sessions:    a.sessions,
		Disabled:    withheld(cfg.IMAP.Disabled),
		TLS:         a.offeredTLS(c),
		ImplicitTLS: c.Service.ImplicitTLS(),
		RequireTLS:  c.TLS == config.TLSRequired,
		ClearLogin:  clearLogin(cfg, c),
		Compress:    cfg.IMAP.Compress,
		Limits: imap.Limits{
			AppendBytes:          cmp.Or(cfg.IMAP.AppendLimit, cfg.Relay.MaxMessageSize),
			SessionsPerUser:      cfg.IMAP.SessionsPerUser,
			ConnectionsPerClient: l.ConnectionsPerClient,
			Connections:          l.Connections,
			Handshake:            l.HandshakeTimeout,
			Stress:               l.StressTimeout,
			Idle:                 cfg.IMAP.IdleTimeout + idleSlack,
		},
		Exempt:  exempt(accessOf(cfg)),
		Metrics: m,
		Events:  a.readBy,
	}
	if cfg.IMAP.SpecialFolders {
		o.Special = []string{"Drafts", "Sent", "Junk", "Trash", "Archive"}
	}
	return o
}

// withheld says which capabilities an account is not offered; nil: all are.
func withheld(disabled map[string][]string) func(user string) []string {
	if len(disabled) == 0 {
		return nil
	}
	all := disabled["*"]
	by := maps.Clone(disabled)
	for user, own := range by {
		by[user] = slices.Concat(all, own)
	}
	return func(user string) []string {
		if list, ok := by[user]; ok {
			return list
		}
		return all
	}
}

// openAccount opens the mailboxes of a user.
func (a *App) openAccount(ctx context.Context, user *auth.User) (*mailbox.Account, error) {
	return a.accountOf(ctx, user)
}

// readBy writes down what happened on a connection of IMAP. Logins are written where
// they are checked.
func (a *App) readBy(e imap.Event) {
	switch e.Kind {
	case imap.Panicked:
		a.sessionPanicked(e.Conn.ID, e.Conn.Remote, e.Conn.Listener, e.Panic, e.Stack)
	case imap.Trouble:
		a.mailboxTrouble(e.Conn.ID, e.Conn.User, e.Err)
	}
}

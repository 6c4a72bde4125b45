package app

import (
	"bytes"
	"cmp"
	"strings"

	"postrider/internal/config"
	"postrider/internal/maillog"
	"postrider/relay/smtpd"
)

// openSMTP makes s a listener of SMTP or LMTP.
func (a *App) openSMTP(s *server) {
	m := &smtpd.Metrics{}
	options := held(a, s, func(c config.Listener, cfg *config.Config) *smtpd.Options { return a.smtpOptions(c, m, cfg) })
	s.protocol = smtpd.NewServer(s.conf.Address, a.census, options)
	s.count(counters{
		open: &m.Connections, accepted: &m.Accepted, refused: &m.Refused, panics: &m.Panics, messages: &m.Messages, bytes: &m.Bytes,
		handshakes: &m.Handshakes, handshakeErr: &m.HandshakeErr, acceptErrors: &m.AcceptErrors,
	})
}

// smtpOptions is how a listener's new sessions are held under cfg.
func (a *App) smtpOptions(c config.Listener, m *smtpd.Metrics, cfg *config.Config) *smtpd.Options {
	lmtp := c.Service == config.ServiceLMTP
	handler := a.engine.Handler(lmtp)
	if c.Service.Submits() {
		handler = a.engine.Submission()
	}
	access := accessOf(cfg)
	o := &smtpd.Options{
		Hostname:   cfg.Hostname,
		Handler:    handler,
		LMTP:       lmtp,
		TLS:        a.offeredTLS(c),
		RequireTLS: c.TLS == config.TLSRequired,
		Auth:       a.users.auth,
		ClearLogin: clearLogin(cfg, c),

		ImplicitTLS:  c.Service == config.ServiceSubmissions,
		RequireLogin: c.Service.Submits(),

		Limits:  limitsOf(cfg),
		Exempt:  exempt(access),
		Metrics: m,
		Events:  a.rejected,
	}
	if cfg.Relay.LineEndings == "normalize" || c.Service.Submits() { // RFC 6409 section 8
		o.LineEndings = smtpd.Normalize
	}
	return o
}

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

// rejected writes the event of a reply that refused something.
func (a *App) rejected(e smtpd.RejectEvent) {
	s := maillog.Session{
		ID: e.Conn.ID, Client: e.Conn.Remote, Helo: e.Conn.Helo, Listener: e.Conn.Listener,
		Protocol: e.Conn.Protocol(), TLS: e.Conn.TLSVersion(),
	}
	if e.Conn.User != nil {
		s.User = []byte(e.Conn.User.Name)
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

package app

import (
	"crypto/tls"
	"net/netip"
	"sync/atomic"

	"go.uber.org/zap"

	"postrider/internal/config"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/relay/policy"
)

// held gives the sessions of s options that a reload swaps: the protocol asks the
// returned function as a session begins.
func held[O any](a *App, s *server, of func(c config.Listener, cfg *config.Config) *O) func() *O {
	var options atomic.Pointer[O]
	s.reload = func(cfg *config.Config) { options.Store(of(s.conf, cfg)) }
	s.reload(a.cfg)
	return options.Load
}

// offeredTLS is what a listener's sessions encrypt with; nil: nothing. They share one
// configuration, whose certificate may change, so that a client can resume a session of
// TLS on its next connection.
func (a *App) offeredTLS(c config.Listener) func() *tls.Config {
	if c.TLS == config.TLSOff && !c.Service.ImplicitTLS() {
		return nil
	}
	shared := a.certs.Config()
	return func() *tls.Config { return shared }
}

func exempt(access *policy.Rules) func(netip.Addr) bool { return access.Trusted }

// counters are what the metrics tell of a listener, whatever is spoken there.
type counters struct {
	open, accepted, refused, panics, messages, bytes, handshakes, handshakeErr, acceptErrors *atomic.Int64
}

// count makes c what the metrics tell of s.
func (s *server) count(c counters) {
	s.counts = func() metrics.Listener {
		return metrics.Listener{
			Name:        s.conf.Address,
			Connections: c.open.Load(), SessionsOK: c.accepted.Load(), Refused: c.refused.Load(),
			Panics: c.panics.Load(), Messages: c.messages.Load(), Bytes: c.bytes.Load(),
			HandshakesOK: c.handshakes.Load(), HandshakesBad: c.handshakeErr.Load(), AcceptErrors: c.acceptErrors.Load(),
		}
	}
}

// mailboxTrouble tells that a session of user met a mailbox that failed.
func (a *App) mailboxTrouble(session uint64, user string, err error) {
	a.diag.Warn("a mailbox could not be read", zap.Uint64("session", session), zap.String("user", user), zap.Error(err))
}

// sessionPanicked writes down a panic of a session, which ended alone.
func (a *App) sessionPanicked(id uint64, client netip.AddrPort, listener string, value any, stack []byte) {
	a.log.Panic(&maillog.Session{ID: id, Client: client, Listener: listener}, value, stack)
}

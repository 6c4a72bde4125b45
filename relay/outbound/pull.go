package outbound

import (
	"context"
	"time"

	"postrider/internal/mail"
)

// pull returns the next delivery that can be sent, begun as a transaction, or
// nil when there is none for now or the connection has served long enough.
func (s *session) pull(ctx context.Context, wait time.Duration) *transaction {
	for ctx.Err() == nil && !s.worn() {
		d := s.next(ctx, wait)
		if d == nil {
			return nil
		}
		d.Remote = s.remote
		if s.pulled == 0 {
			d.Timings.Connect, d.Timings.TLS = s.connect, s.handshakeTook
		}
		tx := &s.txs[(s.head+s.n)%len(s.txs)]
		*tx = transaction{d: d}
		switch s.admit(tx) {
		case admitted:
			tx.began = time.Now()
			s.n++
			s.pulled++
			s.remote.Reused = true
			return tx
		case elsewhere:
			s.held, s.leaving = d, true
			s.tries.askOn(s.target)
		case ended:
			s.src.Done(d)
		}
		*tx = transaction{}
	}
	return nil
}

// worn reports a connection that takes no more deliveries.
func (s *session) worn() bool {
	fewer := func(n, limit int) bool { return limit > 0 && n >= limit }
	return s.leaving || s.visiting && s.held == nil ||
		fewer(s.pulled, s.c.Extensions.MaxMails) || // RFC 9422 section 4.1
		fewer(s.pulled, s.eg.MaxMessages) ||
		fewer(s.pulled, s.life) ||
		time.Since(s.born) > s.t.o.Life
}

// next returns what was held, or what src gives.
func (s *session) next(ctx context.Context, wait time.Duration) *mail.Delivery {
	if d := s.held; d != nil {
		s.held = nil
		return d
	}
	s.tries.askNoMore()
	return s.src.Next(ctx, wait)
}

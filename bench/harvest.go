package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"postrider/bench/access"
	"postrider/bench/ledger"
)

// harvest accounts for mail that went into mailboxes, by reading all of it.
func (r *round) harvest(ctx context.Context) error {
	b, err := access.New(access.Options{
		POP3: r.server.POP3(), Workload: access.Poll, Protocol: "pop3", Users: r.s.Load.Users, Conns: min(8, r.s.Load.Users),
		UserFormat: "u%d@" + mailboxDomain, Password: password, Sessions: 1,
	})
	if err != nil {
		return err
	}
	r.p.note("reading the mailboxes")
	var strangers atomic.Int64
	err = b.Harvest(ctx, func(text []byte) {
		h, whole, ok := ledger.ReadText(text)
		if !ok || h.Run != r.ledger.Run() {
			strangers.Add(1)
			return
		}
		if _, known := r.ledger.Delivered(h.Seq, 0, whole); !known {
			strangers.Add(1)
		}
	})
	r.ledger.Strange(strangers.Load())
	if err != nil {
		return fmt.Errorf("reading the mailboxes: %w", err)
	}
	return nil
}

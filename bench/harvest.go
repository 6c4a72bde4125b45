package bench

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

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
		h, whole, ok := readBench(text)
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

// readBench finds what X-Bench says of a text, and whether the body has the hash
// it states.
func readBench(text []byte) (h ledger.Header, whole, ok bool) {
	header, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	for line := range bytes.Lines(header) {
		if n := len(ledger.HeaderName); len(line) > n && bytes.EqualFold(line[:n], []byte(ledger.HeaderName)) {
			if h, ok = ledger.ParseHeader(line); ok {
				return h, xxhash.Sum64(body) == h.Hash, true
			}
		}
	}
	return h, false, false
}

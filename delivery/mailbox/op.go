package mailbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"postrider/delivery/mailbox/internal/record"
	"postrider/internal/spool"
)

// op is a change on its way: from the call that makes it, through the spool, to
// the applier, and back to the call.
type op struct {
	s    *Store
	w    spool.Write
	head []byte
	runs record.RunsWriter
	gone atomic.Bool
	done chan struct{} // one place
	err  error
	next *op // in the applier's inbox

	// What it has reserved; the accounts stay in memory through it.
	accounts []*Account
	reserved []reservation // of each of accounts

	items    []byte // rows of the inline text's header and structure; empty: to be made when somebody asks
	topLen   int    // of them: the header's
	itemsFor uint64 // its blob
	local    bool   // nothing but items: it does not go through the log
	undo     func() // see Account.alter
	after    func() // called by the applier when it has ended without an owner who waits
}

var ops = sync.Pool{New: func() any { return &op{done: make(chan struct{}, 1)} }}

// maxKeptHead bounds what a pooled op keeps.
const maxKeptHead = 64 << 10

func (s *Store) newOp(copied bool) *op {
	o := ops.Get().(*op)
	o.s = s
	o.head = record.AppendHead(o.head[:0], copied)
	return o
}

// free gives o back.
func (o *op) free() {
	clear(o.accounts)
	if cap(o.head) > maxKeptHead {
		o.head = nil
	}
	if cap(o.items) > maxKeptHead {
		o.items = nil
	}
	*o = op{done: o.done, head: o.head[:0], accounts: o.accounts[:0], reserved: o.reserved[:0], items: o.items[:0]}
	ops.Put(o)
}

// reserveLocked takes room in an account, whose mu the caller holds, until o is
// applied or has failed.
func (o *op) reserveLocked(a *Account, r reservation) {
	a.reserveLocked(r)
	for i, have := range o.accounts {
		if have == a {
			o.reserved[i].bytes += r.bytes
			o.reserved[i].messages += r.messages
			return
		}
	}
	o.accounts, o.reserved = append(o.accounts, a), append(o.reserved, r)
}

// giveBackLocked takes back what o has reserved, before it was appended. The caller
// holds the mu of all its accounts.
func (o *op) giveBackLocked() {
	for i, a := range o.accounts {
		a.reserveLocked(reservation{-o.reserved[i].bytes, -o.reserved[i].messages})
	}
	o.accounts, o.reserved = o.accounts[:0], o.reserved[:0]
}

// append hands o to the spool. The caller holds the mu of the accounts in it, so
// that the log has the order of the numbers.
func (o *op) append(body []byte, sum uint32) {
	o.w = spool.Write{Kind: record.Kind, Head: o.head, Body: body, BodyCRC: sum, BodySummed: true, Committer: o, Gone: &o.gone}
	o.s.log.Append(&o.w)
}

// appendLazy is append for what nobody waits for.
func (o *op) appendLazy() {
	o.w = spool.Write{Kind: record.Kind, Head: o.head, Lazy: true, BodySummed: true, Committer: o}
	o.s.log.Append(&o.w)
}

// Committed implements spool.Committer.
func (o *op) Committed(*spool.Write) { o.s.ap.put(o) }

// wait returns when o was applied or has failed. When ctx ends o gives up its
// turn; what is being written by then is waited for.
func (o *op) wait(ctx context.Context) error {
	select {
	case <-o.done:
	case <-ctx.Done():
		o.gone.Store(true)
		<-o.done
		if errors.Is(o.err, spool.ErrGone) {
			return ctx.Err()
		}
	}
	return o.err
}

// result turns what the spool says into an error of this package.
func (o *op) result() error {
	err := o.w.Err
	switch {
	case err == nil:
		return nil
	case errors.Is(err, spool.ErrGone):
		return err
	case errors.Is(err, spool.ErrFull):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, spool.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

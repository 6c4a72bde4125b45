package mailbox

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/bufpool"
)

// filing is a DeliverAll under way.
type filing struct {
	s        *Store
	o        *op
	ds       []*Delivery
	texts    []text      // of ds
	accounts []*Account  // of all targets, in the order of their ids, without repeats
	claimed  int         // keys of ds that are held
	freed    reservation // what ds[0] replaces
	key      []byte
	now      int64 // Unix seconds
}

var filings = sync.Pool{New: func() any { return &filing{} }}

// Deliver files d: what has no Err is durable and visible when Deliver returns. An
// error means that nothing was filed or, with ErrClosed, that it is not known; a
// repeat with the same Key is safe. When no target could be filed it is the first
// one's Err. When ctx ends, what is not yet being written is given up.
//
// Keywords that a mailbox has no room for are left out.
func (s *Store) Deliver(ctx context.Context, d *Delivery) error {
	f := filings.Get().(*filing)
	f.ds = append(f.ds[:0], d)
	return s.deliver(ctx, f)
}

// DeliverAll files several in one step, all targets or none (MULTIAPPEND, RFC 3502).
func (s *Store) DeliverAll(ctx context.Context, ds ...*Delivery) error {
	if len(ds) == 0 {
		return nil
	}
	f := filings.Get().(*filing)
	f.ds = append(f.ds[:0], ds...)
	return s.deliver(ctx, f)
}

func (s *Store) deliver(ctx context.Context, f *filing) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	f.s, f.now = s, s.o.Clock().Unix()
	err := f.prepare(ctx)
	if err == nil {
		err = f.file(ctx)
	}
	f.finish(err)
	return err
}

// prepare does what needs no lock: texts, keys, repeats.
func (f *filing) prepare(ctx context.Context) error {
	var size int64
	for _, d := range f.ds {
		size += d.Text.Size()
	}
	if err := f.s.space.admit(size, grows); err != nil {
		return err
	}
	todo := false
	for _, d := range f.ds {
		if !d.Key.IsZero() {
			if !f.s.keys.claim(d.Key, ctx.Done()) {
				return ctx.Err()
			}
			f.claimed++
		}
		for i := range d.Targets {
			t := &d.Targets[i]
			t.Repeat, t.ModSeq, t.Err = false, 0, nil
			if err := f.repeat(d, t); err != nil {
				return err
			}
			todo = todo || !t.Repeat
		}
	}
	if !todo {
		return nil
	}
	for _, d := range f.ds {
		f.texts = append(f.texts, text{})
		if err := f.text(d, &f.texts[len(f.texts)-1]); err != nil {
			return err
		}
	}
	return nil
}

// repeat looks whether a target was filed before.
func (f *filing) repeat(d *Delivery, t *Target) error {
	if t.Mailbox == nil || d.Key.IsZero() || !f.s.filed.may(d.Key) {
		return nil
	}
	f.key = rows.DeliveryKey(f.key[:0], d.Key, uint32(t.Recipient), t.Mailbox.a.id, t.Mailbox.id)
	var uid uint32
	found, err := get(f.s.db, f.key, func(v []byte) (err error) {
		uid, err = rows.ParseID(v)
		return err
	})
	if found {
		t.UID, t.Repeat = uid, true
	}
	return err
}

// file assigns the numbers and waits until they are true.
func (f *filing) file(ctx context.Context) error {
	if len(f.texts) == 0 {
		return nil // all repeats
	}
	f.o = f.s.newOp(false)
	if d := f.ds[0]; d.From != nil && len(d.Expunge) > 0 {
		if err := d.From.a.takeTurn(ctx); err != nil {
			return err
		}
		defer d.From.a.endTurn()
		if err := f.look(d); err != nil {
			return err
		}
	}
	f.itemize()
	f.lock()
	err := f.assignLocked()
	if err == nil {
		f.o.append(f.texts[0].bytes, f.texts[0].sum)
	} else {
		f.o.giveBackLocked()
	}
	f.unlock()
	if err != nil {
		f.o.free()
		return err
	}
	err = f.o.wait(ctx)
	f.o.free()
	return err
}

// look finds out how much room the messages free that d replaces: only the difference
// counts (RFC 8508 section 3.4). When none of them is there any more it is ErrNoMessage.
// The caller has the turn of their account, so that they stay.
func (f *filing) look(d *Delivery) error {
	m := d.From
	for _, r := range d.Expunge {
		low := rows.EntryKey(nil, m.a.id, m.id, r.From)
		high := append(rows.EntryKey(nil, m.a.id, m.id, r.To), 0)
		err := scanBetween(f.s.db, low, high, func(_, v []byte) (bool, error) {
			var row rows.Entry
			err := rows.ParseEntry(v, &row)
			f.freed.bytes += int64(row.Size)
			f.freed.messages++
			return true, err
		})
		if err != nil {
			return err
		}
	}
	if f.freed.messages == 0 {
		return ErrNoMessage
	}
	return nil
}

// lock locks all accounts that are filed into, in the order of their ids.
func (f *filing) lock() {
	for _, d := range f.ds {
		for i := range d.Targets {
			if m := d.Targets[i].Mailbox; m != nil && !d.Targets[i].Repeat {
				f.accounts = append(f.accounts, m.a)
			}
		}
		if d.From != nil {
			f.accounts = append(f.accounts, d.From.a)
		}
	}
	if len(f.accounts) > 1 {
		slices.SortFunc(f.accounts, func(a, b *Account) int { return cmp.Compare(a.id, b.id) })
		f.accounts = slices.Compact(f.accounts)
	}
	for _, a := range f.accounts {
		a.mu.Lock()
	}
}

func (f *filing) unlock() {
	for _, a := range f.accounts {
		a.mu.Unlock()
	}
}

// finish ends a filing, and tells what became of it.
func (f *filing) finish(err error) {
	for i := range f.texts {
		t := &f.texts[i]
		if t.buf != nil {
			bufpool.Put(t.buf)
		}
		switch {
		case err == nil && t.draft != nil:
			t.draft.filed = true
		case errors.Is(err, ErrClosed):
			if t.draft != nil {
				t.draft.filed = true // perhaps: the next Open looks
			}
		case err != nil && t.file != nil:
			t.file.abandon()
		}
	}
	for i, d := range f.ds {
		if i < f.claimed && !d.Key.IsZero() {
			f.s.keys.release(d.Key)
		}
		for k := range d.Targets {
			t := &d.Targets[k]
			if err != nil && !t.Repeat {
				t.UID, t.ModSeq = 0, 0
				t.Err = cmp.Or(t.Err, err)
			}
		}
	}
	clear(f.texts)
	clear(f.accounts)
	clear(f.ds)
	*f = filing{ds: f.ds[:0], texts: f.texts[:0], accounts: f.accounts[:0], key: f.key[:0]}
	filings.Put(f)
}

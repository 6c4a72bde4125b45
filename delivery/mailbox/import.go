package mailbox

import (
	"context"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/mail"
)

// importMark is what keys of imports begin with, where ids of messages have their
// time: it is the end of all time.
const importMark = "\xff\xff\xff\xff\xff\xff"

// ImportKey makes an id, of which the last ten octets are kept, a key of imports:
// one that no message of the queue can have, and that is never to be forgotten,
// since an import may be repeated at any time.
func ImportKey(id mail.ID) mail.ID {
	copy(id[:], importMark)
	return id
}

// IsImportKey reports a key that ImportKey made.
func IsImportKey(id mail.ID) bool { return string(id[:len(importMark)]) == importMark }

// DeliverEach files several, each for itself, in their order: their records follow
// each other in the log, so that UIDs that are wanted may rise from one to the
// next, and all are waited for together. It returns an error for each, as Deliver
// would.
func (s *Store) DeliverEach(ctx context.Context, ds ...*Delivery) []error {
	errs := make([]error, len(ds))
	if err := s.enter(ctx); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer s.leave()
	started := make([]*filing, 0, len(ds))
	first := 0 // of ds, of those in started
	wait := func() {
		for i, f := range started {
			if f.o != nil && errs[first+i] == nil {
				errs[first+i] = f.o.wait(ctx)
				f.o.free()
			}
			f.finish(errs[first+i])
		}
		first += len(started)
		started = started[:0]
	}
	for i, d := range ds {
		if holdsKey(ds[first:i], d.Key) { // its turn comes when the other has ended
			wait()
		}
		f := filings.Get().(*filing)
		f.ds, f.s, f.now = append(f.ds[:0], d), s, s.o.Clock().Unix()
		if errs[i] = f.prepare(ctx); errs[i] == nil {
			errs[i] = f.start()
		}
		started = append(started, f)
	}
	wait()
	return errs
}

// holdsKey reports whether one of ds has the key.
func holdsKey(ds []*Delivery, key mail.ID) bool {
	for _, d := range ds {
		if d.Key == key && !key.IsZero() {
			return true
		}
	}
	return false
}

// start assigns the numbers and hands the record to the log, if there is anything
// to file.
func (f *filing) start() error {
	if len(f.texts) == 0 {
		return nil // all repeats
	}
	f.o = f.s.newOp(false)
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
	}
	return err
}

// Filed says for each id whether a Delivery with this key was filed into m for the
// recipient with this number.
func (m *Mailbox) Filed(ids []mail.ID, recipient int) ([]bool, error) {
	s := m.a.s
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.leave()
	filed := make([]bool, len(ids))
	var key []byte
	for i, id := range ids {
		key = rows.DeliveryKey(key[:0], id, uint32(recipient), m.a.id, m.id)
		found, err := get(s.db, key, func([]byte) error { return nil })
		if err != nil {
			return nil, err
		}
		filed[i] = found
	}
	return filed, nil
}

// RaiseUIDNext sees to it that UIDs below uidNext are given no more: an import
// brings no messages for those that were expunged at its source, but clients know
// them. ErrUID when none would be left.
func (m *Mailbox) RaiseUIDNext(ctx context.Context, uidNext uint32) error {
	return m.a.alter(ctx, frees, func(o *op) error {
		switch {
		case m.gone:
			return ErrNoMailbox
		case uidNext > maxImportedUID:
			return ErrUID
		case uidNext <= m.uidNext:
			return nil
		}
		m.uidNext = uidNext
		o.head = record.AppendState(o.head, &record.State{Box: m.box(), UIDNext: uidNext})
		return nil
	})
}

// maxImportedUID leaves room above the UIDs of an import for those to come.
const maxImportedUID = 1<<32 - 1<<24

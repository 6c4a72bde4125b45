package mailbox

import (
	"context"
	"errors"
	"fmt"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/spool"
)

// Rebuilt says what Rebuild found.
type Rebuilt struct {
	Records  int
	Accounts int
	Messages int64
	Gaps     []spool.Gap // of the log; only with Options.Salvage
	Lost     []Finding   // messages whose text is nowhere; they are left out
}

// Complete reports that nothing was missing. Otherwise the mailboxes get another
// UIDVALIDITY at the next Open.
func (r *Rebuilt) Complete() bool { return len(r.Gaps)+len(r.Lost) == 0 }

// newIndexName is the folder in which an index is made anew.
const newIndexName = "index.new"

// Rebuild makes the index of a store that is not open anew from its log alone, and
// puts it in the place of the old one. Expunges are no longer remembered then, so that
// clients compare all UIDs once.
func Rebuild(ctx context.Context, o Options) (*Rebuilt, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, err
	}
	r, err := s.rebuild(ctx)
	return r, errors.Join(err, s.lock.Close())
}

// rebuild is Rebuild for a store that is locked and otherwise not open.
func (s *Store) rebuild(ctx context.Context) (*Rebuilt, error) {
	dir := s.fs.PathJoin(s.o.Dir, newIndexName)
	if err := s.fs.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("make the index anew: %w", err)
	}
	b := &rebuilder{s: newStore(s.o), ctx: ctx, names: newNames()}
	b.s.indexName = newIndexName
	b.s.ap.rebuilds = true
	err := b.s.openIndex()
	if err == nil {
		err = b.run()
		// Flushed before it is closed: it has no log of its own.
		err = errors.Join(err, b.s.guard(func() error { return errors.Join(b.s.db.Flush(), b.s.db.Close()) }))
	}
	b.s.cacheUnref()
	if err == nil && !b.report.Complete() {
		err = markRestored(s, s.o.Dir)
	}
	if err != nil {
		return &b.report, fmt.Errorf("make the index anew: %w", err)
	}
	// Without an index Open makes one, so that a crash between the two does no harm.
	index := s.fs.PathJoin(s.o.Dir, indexName)
	err = s.fs.RemoveAll(index)
	if err == nil {
		err = s.fs.Rename(dir, index)
	}
	return &b.report, errors.Join(err, syncDir(s.fs, s.o.Dir))
}

// rebuilder makes an index from a log. Records that were logged again stand behind
// what refers to them, so accounts and mailboxes are collected first; a text may be
// found after the messages that share it, and is counted either way.
type rebuilder struct {
	s      *Store
	ctx    context.Context
	names  *names
	report Rebuilt
}

func (b *rebuilder) run() (err error) {
	s := b.s
	if err := s.ap.readMarks(); err != nil {
		return err
	}
	if s.log, err = spool.Open(s.spoolOptions(), b.names.take); err != nil {
		return openError(err)
	}
	b.report.Gaps = s.log.Recovery().Gaps
	err = b.bring()
	return errors.Join(err, s.log.Close())
}

func (b *rebuilder) bring() error {
	ap := &b.s.ap
	ap.batch = b.s.db.NewBatch()
	if err := b.names.apply(ap); err != nil {
		return err
	}
	ap.settle()
	ap.named = true
	for _, g := range b.s.log.Generations(nil) {
		if g.End < 0 {
			continue
		}
		// What could not be read was named by Open.
		_, err := b.s.log.Walk(g.Gen, b.s.o.Salvage, func(r *spool.Recovered) error {
			b.report.Records++
			if err := b.ctx.Err(); err != nil {
				return err
			}
			return ap.replay(r)
		})
		if err != nil {
			return openError(err)
		}
	}
	ap.settle()
	for _, step := range []func() error{b.sweep, b.leaveOut, b.forgetExpunges} {
		if err := step(); err != nil {
			return err
		}
		if ap.settle(); b.s.dead.Load() {
			return errIndex
		}
	}
	return nil
}

// sweep removes the texts that no message needs, and finds those that are nowhere.
func (b *rebuilder) sweep() error {
	ap := &b.s.ap
	ap.batch = b.s.db.NewBatch()
	return scan(b.s.db, []byte{rows.PrefixBlob}, func(key, v []byte) (bool, error) {
		var row rows.Blob
		if err := rows.ParseBlob(v, &row); err != nil {
			return false, err
		}
		if row.Refs > 0 {
			return true, nil
		}
		ap.count(&row, -1)
		return true, ap.batch.Delete(key, nil)
	})
}

// leaveOut removes the messages whose text is nowhere.
func (b *rebuilder) leaveOut() error {
	s, ap := b.s, &b.s.ap
	lost, err := s.lostTexts()
	if err != nil {
		return err
	}
	ap.batch = s.db.NewBatch()
	return scan(s.db, []byte{rows.PrefixEntry}, func(key, v []byte) (bool, error) {
		var row rows.Entry
		if err := rows.ParseEntry(v, &row); err != nil {
			return false, err
		}
		b.report.Messages++
		if !lost[row.Blob] {
			return true, nil
		}
		a, m := rows.Box(key)
		box, err := ap.mailbox(record.Box{Account: a, Mailbox: m})
		if box == nil || err != nil {
			return true, err
		}
		b.report.Messages--
		b.report.Lost = append(b.report.Lost, Finding{Account: box.a.name, Mailbox: box.row.Name, UID: rows.UID(key), Blob: row.Blob, What: "its text is nowhere"})
		ap.touchBox(box)
		box.count(&row, -1)
		return true, ap.drop(box.box(), rows.UID(key), &row)
	})
}

// lostTexts are those of which the log does not say where they are, or whose file is
// gone.
func (s *Store) lostTexts() (map[uint64]bool, error) {
	lost := make(map[uint64]bool)
	err := scan(s.db, []byte{rows.PrefixBlob}, func(key, v []byte) (bool, error) {
		var row rows.Blob
		if err := rows.ParseBlob(v, &row); err != nil {
			return false, err
		}
		id := rows.BlobID(key)
		if row.Large {
			if info, err := s.fs.Stat(s.largePath(id)); err != nil || info.Size() != row.Size {
				lost[id] = true
			}
		} else if row.Gen == 0 {
			lost[id] = true
		}
		return true, nil
	})
	return lost, err
}

// forgetExpunges lets every mailbox say that it knows of none: some may have left the
// log with the messages that they ended.
func (b *rebuilder) forgetExpunges() error {
	ap := &b.s.ap
	ap.batch = b.s.db.NewBatch()
	if err := ap.batch.DeleteRange([]byte{rows.PrefixVanished}, []byte{rows.PrefixVanished + 1}, nil); err != nil {
		return err
	}
	last := uint32(0)
	return scan(b.s.db, []byte{rows.PrefixMailbox}, func(key, _ []byte) (bool, error) {
		a, m := rows.Box(key)
		if a != last {
			b.report.Accounts++
			last = a
		}
		box, err := ap.mailbox(record.Box{Account: a, Mailbox: m})
		if box == nil || err != nil {
			return true, err
		}
		ap.touchBox(box)
		box.counts.Floor, box.counts.Vanished = box.counts.HighestModSeq, 0
		return true, nil
	})
}

package queue

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/queue/internal/rows"
)

// loadChunk is how many recipients are entered under one lock.
const loadChunk = 256

// loader rebuilds the schedule of moved messages from their rows while fresh
// mail already moves. Its iterator is older than the worker, so that it does not
// see what is moved meanwhile.
type loader struct {
	q       *Queue
	it      *pebble.Iterator
	orphans []string // paths of large files that belong to no message
	chunk   []loaded
	ring    []uint32 // slots of the message that is being loaded
}

type loaded struct {
	id       mail.ID
	rcpt     uint16
	attempts uint8
	state    State
	version  uint32
	domain   uint32
	due      int64
}

func (q *Queue) newLoader() (*loader, error) {
	it, err := q.st.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{rows.PrefixRecipient}, UpperBound: []byte{rows.PrefixRecipient + 1},
	})
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	l := &loader{q: q, it: it}
	if err := l.listFiles(); err != nil {
		return nil, errors.Join(fmt.Errorf("list large messages: %w", err), it.Close())
	}
	return l, nil
}

// listFiles counts the large files of moved messages and finds the orphans.
// Nothing else runs yet.
func (l *loader) listFiles() error {
	q := l.q
	names, err := q.fs.List(q.largeDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		id, err := mail.ParseID(name)
		if err != nil || q.index.Find(q.tb, id) != 0 {
			continue // not ours, or of a hot message
		}
		path := q.fs.PathJoin(q.largeDir, name)
		if !q.st.has(id) {
			l.orphans = append(l.orphans, path)
			continue
		}
		info, err := q.fs.Stat(path)
		if err != nil {
			return err
		}
		q.movedLarge.Add(info.Size())
	}
	return nil
}

// run loads until it is done or the queue stops.
func (l *loader) run() {
	q := l.q
	defer q.running.Done()
	now := q.o.Clock()
	var row rows.Recipient
	stopped := false
	for ok := l.it.First(); ok && !stopped; ok = l.it.Next() {
		r, err := l.read(&row)
		if err != nil {
			q.alarm("damage", err)
			continue
		}
		// All of a message is entered under one lock: a part of it could be
		// leased, and end, before the rest is there.
		if n := len(l.chunk); n >= loadChunk && l.chunk[n-1].id != r.id {
			stopped = !l.enter(now)
		}
		l.chunk = append(l.chunk, r)
	}
	l.enter(now)
	if err := errors.Join(l.it.Error(), l.it.Close()); err != nil {
		q.alarm("damage", fmt.Errorf("load schedule: %w", err))
		stopped = true // what is missing is no orphan
	}
	if !stopped {
		l.sweep()
		q.holdGaps()
		close(q.loaded)
	}
}

func (l *loader) read(row *rows.Recipient) (loaded, error) {
	id, rcpt, ok := rows.SplitRecipient(l.it.Key())
	v, err := l.it.ValueAndErr()
	if err == nil && (!ok || rcpt >= maxRecipients) {
		err = rows.ErrMalformed
	}
	if err == nil {
		err = rows.ParseRecipient(v, row)
	}
	if err != nil {
		return loaded{}, fmt.Errorf("%w: recipient %d of %v: %w", ErrDamaged, rcpt, id, err)
	}
	st := State(row.State)
	if st.Terminal() || st == 0 || st == InFlight {
		st = Ready
	}
	return loaded{
		id: id, rcpt: uint16(rcpt), attempts: uint8(min(row.Attempts, 255)), state: st,
		version: row.Version, due: row.DueUnixMilli, domain: l.q.useDomainName(row.Domain),
	}, nil
}

// enter puts the chunk into the table; false when the queue stops.
func (l *loader) enter(now time.Time) bool {
	q := l.q
	var told notices
	q.mu.Lock()
	for k := range l.chunk {
		r := &l.chunk[k]
		q.domains[r.domain].uses--
		if k == 0 || r.id != l.chunk[k-1].id {
			l.ring = l.ring[:0]
		}
		i := q.tb.Alloc(r.id)
		if i == 0 {
			continue // more incarnations than slots can tell apart
		}
		s := q.tb.At(i)
		s.Rcpt, s.Domain, s.Version, s.Attempts = r.rcpt, r.domain, r.version, r.attempts
		if len(l.ring) == 0 {
			q.messages++
			q.index.Put(q.tb, i)
		}
		l.ring = append(l.ring, i)
		q.ringLocked(l.ring)
		q.joinLocked(r.domain)
		q.scheduleLocked(i, r.state, q.dueAtStart(r.due, now), &told)
	}
	l.chunk = l.chunk[:0]
	q.mu.Unlock()
	q.tell(&told)
	select {
	case <-q.stop:
		return false
	default:
		return true
	}
}

// sweep unlinks the large files that belonged to no message at Open.
func (l *loader) sweep() {
	for _, path := range l.orphans {
		if err := l.q.fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.q.alarm("large", fmt.Errorf("sweep: %w", err))
		}
	}
}

// loadCold tells the cold store of its segments.
func (q *Queue) loadCold() error {
	it, err := q.st.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{rows.PrefixCold}, UpperBound: []byte{rows.PrefixCold + 1},
	})
	if err != nil {
		return fmt.Errorf("read cold segments: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			var n uint32
			var total, dead int64
			if n, total, dead, err = rows.ParseCold(it.Key(), v); err == nil {
				q.st.cold.Add(n, total, dead)
			}
		}
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return fmt.Errorf("read cold segments: %w", err)
	}
	missing, err := q.st.cold.Sweep()
	if err != nil {
		return err
	}
	for _, n := range missing {
		err := fmt.Errorf("%w: cold segment %d is missing", ErrDamaged, n)
		if !q.o.Salvage {
			return err
		}
		q.alarm("damage", err)
	}
	return nil
}

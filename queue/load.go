package queue

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
	"postrider/queue/internal/table"
)

// loadChunk is how many recipients are entered under one lock.
const loadChunk = 256

// loader rebuilds the schedule of moved messages from their rows while fresh
// mail already moves. Its snapshot is older than the worker, so that it does not
// see what is moved meanwhile.
type loader struct {
	q       *Queue
	snap    *pebble.Snapshot
	now     time.Time
	orphans []string // paths of large files that belong to no message
	chunk   []loaded
	ring    []uint32 // slots of the message that is being loaded
	row     rows.Recipient
	stopped bool
}

type loaded struct {
	id       mail.ID
	rcpt     uint16
	attempts uint8
	state    State
	warned   bool
	version  uint32
	bucket   uint32
	due      int64
}

func (q *Queue) newLoader() (*loader, error) {
	l := &loader{q: q, now: q.o.Clock()}
	if err := l.listFiles(); err != nil {
		return nil, fmt.Errorf("list large messages: %w", err)
	}
	l.snap = q.st.db.NewSnapshot()
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
	if err := l.all(); err != nil {
		q.alarm("damage", fmt.Errorf("load schedule: %w", err))
		// What lies behind the damage is found message by message.
		if err := l.byMessage(l.unfinished()); err != nil {
			q.alarm("damage", fmt.Errorf("load schedule: %w", err))
		}
	}
	l.enter()
	if err := l.snap.Close(); err != nil {
		q.alarm("damage", fmt.Errorf("load schedule: %w", err))
	}
	if !l.stopped {
		l.sweep()
		q.holdGaps()
		close(q.loaded)
	}
}

// all loads the rows of all recipients in one go.
func (l *loader) all() error {
	it, err := l.snap.NewIter(&pebble.IterOptions{
		LowerBound: []byte{rows.PrefixRecipient}, UpperBound: []byte{rows.PrefixRecipient + 1},
	})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && !l.stopped; ok = it.Next() {
		l.add(it)
	}
	return errors.Join(it.Error(), it.Close())
}

// unfinished takes the last message out of the chunk, which may lack rows, and
// returns its id.
func (l *loader) unfinished() mail.ID {
	n := len(l.chunk)
	if n == 0 {
		return mail.ID{}
	}
	id := l.chunk[n-1].id
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	for ; n > 0 && l.chunk[n-1].id == id; n-- {
		l.q.bk.At(l.chunk[n-1].bucket).Uses--
	}
	l.chunk = l.chunk[:n]
	return id
}

// byMessage loads the recipients of each message from id on, leaving out those
// whose rows cannot be read: they stay for a salvage.
func (l *loader) byMessage(id mail.ID) error {
	it, err := l.snap.NewIter(&pebble.IterOptions{
		LowerBound: rows.Message(nil, id), UpperBound: []byte{rows.PrefixMessage + 1},
	})
	if err != nil {
		return err
	}
	var key []byte
	for ok := it.First(); ok && !l.stopped; ok = it.Next() {
		if id, ok = rows.SplitID(it.Key()); !ok {
			continue
		}
		key = rows.Recipients(key[:0], id)
		rit, err := l.snap.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: rows.After(nil, key)})
		if err == nil {
			for ok := rit.First(); ok; ok = rit.Next() {
				l.add(rit)
			}
			err = errors.Join(rit.Error(), rit.Close())
		}
		if err != nil {
			l.q.alarm("damage", fmt.Errorf("load recipients of %v: %w", id, err))
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// add adds the row that it stands on to the chunk. All of a message is entered
// under one lock: a part of it could be leased, and end, before the rest is
// there.
func (l *loader) add(it *pebble.Iterator) {
	r, err := l.read(it)
	if err != nil {
		l.q.alarm("damage", err)
		return
	}
	if n := len(l.chunk); n >= loadChunk && l.chunk[n-1].id != r.id {
		l.enter()
	}
	l.chunk = append(l.chunk, r)
}

func (l *loader) read(it *pebble.Iterator) (loaded, error) {
	row := &l.row
	id, rcpt, ok := rows.SplitRecipient(it.Key())
	v, err := it.ValueAndErr()
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
	p := Placement{Flow: row.Flow, Via: row.Via, Band: min(row.Band, BandRetry)}
	if row.Attempts > 0 {
		p.Band = BandRetry // a row of version 1 does not say
		if l.q.o.Reroute != nil {
			p.Via = l.q.o.Reroute(row.Domain, row.Via, int(row.Attempts))
		}
	}
	return loaded{
		id: id, rcpt: uint16(rcpt), attempts: uint8(min(row.Attempts, 255)), state: st,
		warned: row.Flags&record.FlagWarned != 0, version: row.Version, due: row.DueUnixMilli, bucket: l.q.useBucketOf(row.Domain, &p),
	}, nil
}

// enter puts the chunk into the table, and looks whether the queue stops.
func (l *loader) enter() {
	q := l.q
	var told notices
	q.mu.Lock()
	for k := range l.chunk {
		r := &l.chunk[k]
		q.bk.At(r.bucket).Uses--
		if k == 0 || r.id != l.chunk[k-1].id {
			q.loadedLocked(l.ring)
			l.ring = l.ring[:0]
		}
		i := q.tb.Alloc(r.id)
		if i == 0 {
			continue // more incarnations than slots can tell apart
		}
		s := q.tb.At(i)
		s.Rcpt, s.Bucket, s.Version, s.Attempts = r.rcpt, r.bucket, r.version, r.attempts
		s.Set(table.Warned, r.warned)
		if len(l.ring) == 0 {
			q.messages++
			q.index.Put(q.tb, i)
		}
		l.ring = append(l.ring, i)
		q.ringLocked(l.ring)
		q.joinLocked(r.bucket)
		q.inherited++
		q.scheduleLocked(i, r.state, q.dueAtStart(r.due, l.now), &told)
	}
	q.loadedLocked(l.ring)
	l.chunk, l.ring = l.chunk[:0], l.ring[:0]
	q.mu.Unlock()
	q.tell(&told)
	select {
	case <-q.stop:
		l.stopped = true
	default:
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

// loadCold tells the cold store of its segments. Where their counters cannot be
// read, the segments that are there are taken to be alive: that costs room, no
// mail.
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
	err = errors.Join(err, it.Error(), it.Close())
	if pebble.IsCorruptionError(err) {
		q.alarm("damage", readError("cold segments", err))
		err = q.st.cold.Adopt()
	}
	if err != nil {
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

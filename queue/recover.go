package queue

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
	"postrider/queue/internal/table"
)

// Event is one thing that the event log should hold: that a message was
// accepted, or that a recipient changed state.
type Event struct {
	ID        mail.ID
	Recipient int // index in the envelope; -1: the message was accepted
	Version   uint32
	State     State
	Status    mail.Status
	Due       time.Time // of a deferred recipient
	Attempts  uint16
	Envelope  *mail.Envelope // nil when the message has left the hot spool
}

// recovery folds the log into what is left of each message.
type recovery struct {
	q        *Queue
	applied  spool.LSN
	messages map[mail.ID]*recovered
	settle   record.Settle
	action   record.Action
	msg      record.Message
}

// textElsewhere stands in a kept head for where the text is.
var textElsewhere = []byte{'-'}

// recovered is a message of which the log speaks.
type recovered struct {
	lsn     spool.LSN // of its MSG; the zero value when that has been recycled
	at      int64
	head    []byte
	size    int64
	crc     uint32
	large   bool
	rcpts   int
	ended   int
	changes []record.Change // the last of each recipient
}

func (r *recovered) hasMessage() bool { return r.head != nil }

// replay takes one record of the log.
func (rc *recovery) replay(r *spool.Recovered) error {
	switch r.Kind {
	case record.KindMessage:
		return rc.message(r, r.Payload)
	case record.KindSettle:
		if err := record.ParseSettle(r.Payload, &rc.settle); err != nil {
			return parseError(r, err)
		}
		for k := range rc.settle.Changes {
			rc.change(r, rc.settle.ID, &rc.settle.Changes[k])
		}
		if len(rc.settle.Embedded) > 0 {
			return rc.message(r, rc.settle.Embedded)
		}
	case record.KindAction:
		if err := record.ParseAction(r.Payload, &rc.action); err != nil {
			return parseError(r, err)
		}
		for k := range rc.action.Changes {
			rc.change(r, rc.action.ID, &rc.action.Changes[k].Change)
		}
	default:
		return parseError(r, record.ErrVersion)
	}
	return nil
}

func parseError(r *spool.Recovered, err error) error {
	word := ErrDamaged
	if errors.Is(err, record.ErrVersion) {
		word = ErrVersion
	}
	return fmt.Errorf("%w: %s record at %d/%d: %w", word, record.KindName(r.Kind), r.LSN.Gen, r.LSN.Off, err)
}

// message takes the payload of a MSG, which is r's or embedded in it.
func (rc *recovery) message(r *spool.Recovered, payload []byte) error {
	if err := record.ParseMessage(payload, &rc.msg); err != nil {
		return parseError(r, err)
	}
	m := &rc.msg
	rec := &recovered{
		lsn: r.LSN, at: r.BodyAt + int64(len(r.Body)-len(m.Text)),
		// As the head of a message whose text is elsewhere it parses alone.
		head: record.AppendMessageHead(nil, &m.Envelope, record.BodyRef{Size: m.Body.Size, CRC: m.Body.CRC, Large: textElsewhere}),
		size: m.Body.Size, crc: m.Body.CRC, large: len(m.Body.Large) > 0, rcpts: len(m.Envelope.Recipients),
	}
	rc.messages[m.Envelope.ID] = rec
	if r.AfterLogged && rc.q.o.Replayed != nil {
		rc.q.o.Replayed(Event{ID: m.Envelope.ID, Recipient: -1, State: Ready, Envelope: &m.Envelope})
	}
	return nil
}

// change folds one change: the higher version wins, a terminal state absorbs.
func (rc *recovery) change(r *spool.Recovered, id mail.ID, ch *record.Change) {
	rec := rc.messages[id]
	if r.AfterLogged && rc.q.o.Replayed != nil {
		rc.event(rec, id, ch)
	}
	if rec == nil {
		if r.LSN.Compare(rc.applied) < 0 {
			return // of a moved message, and in its rows
		}
		rec = &recovered{}
		rc.messages[id] = rec
	}
	k := slices.IndexFunc(rec.changes, func(c record.Change) bool { return c.Recipient == ch.Recipient })
	if k < 0 {
		rec.changes = append(rec.changes, record.Change{})
		k = len(rec.changes) - 1
	} else if State(rec.changes[k].State).Terminal() || rec.changes[k].Version >= ch.Version {
		return
	}
	if ch.Code == 0 && len(ch.Text) == 0 { // without a reply of its own the last one stands
		ch.Code, ch.Enhanced, ch.Text = rec.changes[k].Code, rec.changes[k].Enhanced, rec.changes[k].Text
	}
	rec.changes[k] = *ch
	rec.changes[k].Text = bytes.Clone(ch.Text)
	if State(ch.State).Terminal() {
		rec.ended++
		if rec.hasMessage() && rec.ended == rec.rcpts && r.LSN.Compare(rc.applied) < 0 {
			delete(rc.messages, id) // all that is to know of it is in Pebble: nothing
		}
	}
}

func (rc *recovery) event(rec *recovered, id mail.ID, ch *record.Change) {
	e := Event{
		ID: id, Recipient: int(ch.Recipient), Version: ch.Version, State: State(ch.State), Attempts: ch.Attempts,
		Status: mail.Status{Code: ch.Code, Enhanced: ch.Enhanced, Text: ch.Text},
	}
	if e.State == Deferred {
		e.Due = time.UnixMilli(ch.DueUnixMilli)
	}
	if rec != nil && rec.hasMessage() {
		e.Envelope, _ = rec.envelope() // it parsed before
	}
	rc.q.o.Replayed(e)
}

// envelope parses the message's head; the result aliases it.
func (r *recovered) envelope() (*mail.Envelope, error) {
	var m record.Message
	if err := record.ParseMessage(r.head, &m); err != nil {
		return nil, err
	}
	env := new(mail.Envelope)
	*env = m.Envelope
	return env, nil
}

// finish sorts what the log says into what has rows, which take the changes, and
// what lives in the hot spool only, which becomes entries.
func (rc *recovery) finish(w *worker) error {
	ids := make([]mail.ID, 0, len(rc.messages))
	for id := range rc.messages {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, mail.ID.Compare)
	it, err := w.st.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{rows.PrefixMessage}, UpperBound: []byte{rows.PrefixMessage + 1},
	})
	if err != nil {
		return fmt.Errorf("look for rows: %w", err)
	}
	b := w.st.db.NewIndexedBatch()
	for _, id := range ids {
		w.key = rows.Message(w.key[:0], id)
		moved := it.SeekGE(w.key) && bytes.Equal(it.Key(), w.key)
		if err = it.Error(); pebble.IsCorruptionError(err) {
			moved, err = w.st.newest(w.key) // a salvage may have written it anew
		}
		if err != nil {
			err = fmt.Errorf("%w: row of message %v: %w", ErrDamaged, id, err)
			if rc.q.o.Salvage {
				rc.q.alarm("damage", err)
				moved, err = false, nil // from the log, if that has it
			}
		}
		if err == nil {
			err = rc.place(w, b, id, moved)
		}
		if err != nil {
			return errors.Join(err, it.Close(), b.Close())
		}
	}
	// The error of the last row comes back here; a salvage has told it.
	if err := it.Close(); err != nil && !(rc.q.o.Salvage && pebble.IsCorruptionError(err)) {
		return errors.Join(readError("rows of messages", err), b.Close())
	}
	if err := w.commit(b, rc.q.sp.Synced()); err != nil {
		return err
	}
	return w.sync() // before the new generation can hold anything
}

func (rc *recovery) place(w *worker, b *pebble.Batch, id mail.ID, moved bool) error {
	rec := rc.messages[id]
	switch {
	case moved:
		return w.applyChanges(b, id, rec.changes)
	case !rec.hasMessage():
		for k := range rec.changes {
			ch := &rec.changes[k]
			if State(ch.State).Terminal() {
				continue // ended, and its rows are gone
			}
			err := fmt.Errorf("%w: message %v is neither in the spool nor in the rows", ErrDamaged, id)
			if !rc.q.o.Salvage {
				return err
			}
			rc.q.alarm("damage", err)
		}
	case rec.ended == rec.rcpts:
		if rec.large {
			w.dead = append(w.dead, id)
		}
	default:
		return rc.insert(id, rec)
	}
	return nil
}

// insert makes the hot entry of a message that was recovered.
func (rc *recovery) insert(id mail.ID, rec *recovered) error {
	q := rc.q
	env, err := rec.envelope()
	if err != nil {
		return fmt.Errorf("%w: message %v: %w", ErrDamaged, id, err)
	}
	buckets := make([]uint32, len(env.Recipients))
	var scratch []byte
	var p Placement
	for k := range env.Recipients {
		buckets[k], scratch = q.useBucket(env, k, &p, scratch)
	}
	now := q.o.Clock()
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.newEntryLocked(id, env, rec.lsn.Gen, rec.at)
	e.size, e.crc, e.large, e.ready = rec.size, rec.crc, rec.large, now
	q.messages++
	q.hotBytes += e.size
	for k, n := range buckets {
		q.bk.At(n).Uses--
		ch := rec.changeOf(uint32(k))
		if ch != nil && State(ch.State).Terminal() {
			continue
		}
		i := q.addSlotLocked(e, k, n)
		q.joinLocked(n)
		q.inherited++
		q.restoreLocked(i, e, ch, now)
	}
	if e.tried {
		q.tried.push(e, listTried)
	}
	q.loadedLocked(e.slots)
	return nil
}

func (r *recovered) changeOf(rcpt uint32) *record.Change {
	for k := range r.changes {
		if r.changes[k].Recipient == rcpt {
			return &r.changes[k]
		}
	}
	return nil
}

// restoreLocked gives a slot of a hot message the state that the log left it in.
func (q *Queue) restoreLocked(i uint32, e *entry, ch *record.Change, now time.Time) {
	if ch == nil {
		q.scheduleLocked(i, Ready, q.ticks(now), nil)
		return
	}
	s := q.tb.At(i)
	s.Version, s.Attempts = ch.Version, uint8(min(ch.Attempts, 255))
	s.Set(table.Warned, ch.Flags&record.FlagWarned != 0)
	e.tried = true
	if s.Attempts > 0 {
		q.retryLocked(s)
	}
	e.remember(int(ch.Recipient), mail.Status{Code: ch.Code, Enhanced: ch.Enhanced, Text: ch.Text})
	q.scheduleLocked(i, State(ch.State), q.dueAtStart(ch.DueUnixMilli, now), nil)
}

// dueAtStart bounds a due time by the longest interval from now, so that a clock
// that stood wrong before cannot hold mail back.
func (q *Queue) dueAtStart(unixMilli int64, now time.Time) uint32 {
	d := time.Duration(unixMilli-now.UnixMilli()) * time.Millisecond
	return q.ticks(now.Add(max(0, min(d, q.o.MaxInterval))))
}

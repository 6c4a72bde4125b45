package queue

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
	"postrider/queue/internal/table"
)

const (
	// One batch of moved messages: one sync of the cold segment, one batch of
	// rows. Larger ones would hold more memory, smaller ones sync more often.
	moveMessages = 1024
	moveBytes    = 8 << 20
	// settleSegments are kept by the spool for settlements.
	settleSegments = 2
	// hotFactor times Options.HotMessages bounds all hot messages, tried or not:
	// their envelopes are in memory.
	hotFactor = 8
)

// mover is one message on its way out of the hot spool, as of the moment when it
// was picked: all its settlements were synced.
type mover struct {
	e     *entry
	rcpts []moverRecipient
	loc   rows.Location
}

type moverRecipient struct {
	rcpt              uint32
	domain, via, flow string
	row               rows.Recipient
}

// move takes a batch of messages out of the hot spool, if that is wanted: text
// into a cold segment, synced; then the rows into Pebble. The recycling of their
// generation waits for a sync of those. It returns how many it moved.
func (w *worker) move() (int, error) {
	q := w.q
	free, total := q.sp.Usage()
	w.movers = w.movers[:0]
	q.mu.Lock()
	// Messages cannot use the segments that are reserved for settlements.
	w.pickLocked((free-settleSegments)*4 < total-settleSegments)
	q.mu.Unlock()
	if len(w.movers) == 0 {
		return 0, nil
	}
	b := w.st.db.NewBatch()
	err := w.copyTexts()
	for k := 0; err == nil && k < len(w.movers); k++ {
		err = w.writeRows(b, &w.movers[k])
	}
	if err != nil {
		return 0, errors.Join(err, b.Close())
	}
	if err := w.commit(b, w.written); err != nil {
		return 0, err
	}
	q.mu.Lock()
	for k := range w.movers {
		q.movedLocked(w.movers[k].e)
	}
	q.mu.Unlock()
	n := len(w.movers)
	clear(w.movers)
	return n, nil
}

// pickLocked chooses what to move: of the lowest generations when segments are
// short or there are too many hot messages altogether, else what has waited
// longest since its first attempt.
func (w *worker) pickLocked(short bool) {
	q := w.q
	bytes := int64(0)
	if short || q.hotCount > hotFactor*q.o.HotMessages {
		current := q.sp.Current()
		for k, g := range q.gens {
			if q.genLow+uint64(k) >= current || len(w.movers) > 0 {
				break // a generation at a time; the last is being written
			}
			for e := g.entries.head; e != nil && w.more(bytes); e = e.links[listGen].next {
				bytes += w.pickOneLocked(e)
			}
		}
	}
	// Below the limit by a tenth, so that a batch is worth its sync.
	if q.tried.n > q.o.HotMessages {
		target := q.o.HotMessages - q.o.HotMessages/10
		for e := q.tried.head; e != nil && q.tried.n-len(w.movers) > target && w.more(bytes); e = e.links[listTried].next {
			bytes += w.pickOneLocked(e)
		}
	}
}

func (w *worker) more(bytes int64) bool {
	return len(w.movers) < moveMessages && bytes < moveBytes
}

// pickOneLocked adds e to the batch, unless one of its settlements is not synced
// yet: Pebble never holds an effect whose record is not.
func (w *worker) pickOneLocked(e *entry) int64 {
	q := w.q
	if e.writes > 0 || e.moving || len(e.slots) == 0 {
		return 0
	}
	e.moving = true
	q.holdLocked(e) // the text stays in memory while it is copied
	n := len(w.movers)
	if n < cap(w.movers) {
		w.movers = w.movers[:n+1]
	} else {
		w.movers = append(w.movers, mover{})
	}
	m := &w.movers[n]
	m.e, m.rcpts = e, m.rcpts[:0]
	now := q.o.Clock().UnixMilli()
	for _, i := range e.slots {
		s := q.tb.At(i)
		b := q.bk.At(s.Bucket)
		d := q.dests[b.Dest]
		r := rows.Recipient{State: s.State(), Flags: flagsOf(s), Version: s.Version, Attempts: uint16(s.Attempts), DueUnixMilli: now, Band: b.Band}
		switch State(r.State) {
		case Deferred:
			r.DueUnixMilli = q.timeOf(s.Due).UnixMilli()
		case InFlight:
			r.State = uint8(leasedFrom(s))
		}
		if e.reply != nil {
			p := &e.reply[s.Rcpt]
			r.Code, r.Enhanced = p.code, p.enhanced
			r.Text = append([]byte(nil), p.text...) // remember overwrites it
		}
		m.rcpts = append(m.rcpts, moverRecipient{
			rcpt: uint32(s.Rcpt), domain: d.domain, via: d.via, flow: q.flows.name(b.Flow), row: r,
		})
	}
	if e.large {
		return 0
	}
	return e.size
}

// copyTexts writes the texts to cold segments and syncs them.
func (w *worker) copyTexts() error {
	for k := range w.movers {
		m := &w.movers[k]
		e := m.e
		m.loc = rows.Location{Large: e.large}
		if e.large {
			continue
		}
		var err error
		if m.loc.Segment, m.loc.Offset, err = w.st.cold.Append(e.id, w.textOf(e), e.crc); err != nil {
			return err
		}
		w.touched[m.loc.Segment] = struct{}{}
	}
	return w.st.cold.Sync()
}

// textOf returns a hot message's text. A damaged one is moved as it is, one that
// cannot be read as zeros: whoever reads it finds out by its checksum.
func (w *worker) textOf(e *entry) []byte {
	if e.buf != nil {
		return e.buf.B
	}
	if int64(cap(w.text)) < e.size {
		w.text = make([]byte, e.size)
	}
	w.text = w.text[:e.size]
	n, err := w.q.sp.ReadAt(w.text, e.gen, e.at)
	if n < len(w.text) {
		w.q.alarm("damage", fmt.Errorf("read message %v to move it: %w", e.id, err))
		clear(w.text)
	}
	return w.text
}

// writeRows adds a message's rows to b.
func (w *worker) writeRows(b *pebble.Batch, m *mover) error {
	e := m.e
	w.idx = rows.AppendLocation(w.idx[:0], m.loc)
	w.val = record.AppendMessageHead(w.val[:0], e.env, record.BodyRef{Size: e.size, CRC: e.crc, Large: w.idx})
	w.key = rows.Message(w.key[:0], e.id)
	if err := b.Set(w.key, w.val, nil); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	w.idx = rows.WithID(rows.SenderPrefix(w.idx[:0], e.env.Sender), e.id)
	w.val = rows.AppendTag(w.val[:0], rows.Tag(e.env.Sender))
	if err := b.Set(w.idx, w.val, nil); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	for k := range m.rcpts {
		if err := w.writeRecipient(b, e.id, e.env, &m.rcpts[k]); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) writeRecipient(b *pebble.Batch, id mail.ID, env *mail.Envelope, r *moverRecipient) error {
	w.rcpt = r.row
	w.head = append(append(append(w.head[:0], r.domain...), r.via...), r.flow...)
	n, m := len(r.domain), len(r.domain)+len(r.via)
	w.rcpt.Domain, w.rcpt.Via, w.rcpt.Flow = w.head[:n], w.head[n:m], w.head[m:]
	w.idx = rows.WithRecipient(rows.DomainPrefix(w.idx[:0], w.rcpt.Domain), id, r.rcpt)
	w.val = rows.AppendTag(w.val[:0], rows.Tag(env.Recipients[r.rcpt].Address))
	if err := b.Set(w.idx, w.val, nil); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	return w.setRow(b, id, r.rcpt)
}

// movedLocked turns a hot message into a moved one: of it only the slots stay.
func (q *Queue) movedLocked(e *entry) {
	for _, i := range e.slots {
		q.tb.At(i).Set(table.Hot, false)
	}
	if len(e.slots) > 0 {
		q.ringLocked(e.slots)
	}
	if e.large {
		q.movedLarge.Add(e.size)
	}
	e.moving = false
	q.detachLocked(e)
	q.unholdLocked(e)
}

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

// Job is one message leased with some of its recipients. It belongs to one
// goroutine and ends with Settle. Its fields are read-only.
type Job struct {
	Envelope   *mail.Envelope
	Recipients []int            // indexes into Envelope.Recipients
	Attempts   []uint16         // earlier attempts of each, counted up to 255
	Warned     []bool           // that the sender of each was told of a delay
	Failures   []RecipientState // of NextFailed: what is known of each
	Body       mail.Body        // valid until Settle
	ReadySince time.Time

	// Of the bucket that was next, or of the first recipient.
	Flow   uint32 // its name: Queue.FlowName
	Band   uint8
	Via    string
	Domain string // recipients of others are there only where the lease allows it

	q      *Queue
	lane   *Lane // to hear of the lease's end; nil: nobody
	id     mail.ID
	e      *entry // nil for a moved message
	slots  []uint32
	failed bool // from NextFailed
	body   body
	told   notices

	key []byte
	row []byte         // of a moved message
	msg record.Message // aliases row
}

// Result says how an attempt ended for one recipient.
type Result struct {
	// State is Delivered, Bounced, Expired, Dropped, Deferred, Failed, Held or
	// Quarantined; or Ready: given back untried, which is not recorded. What
	// NextFailed has leased goes back to Failed then.
	State   State
	Due     time.Time   // for Deferred
	Status  mail.Status // the reason; copied
	Attempt bool        // counts as an attempt
	// Warned says that the sender is told that the recipient is late: NextLate does
	// not lease it any more. Of one that is given back as Ready this, and nothing
	// else, is recorded, once.
	Warned bool
}

// maxSkips bounds how many moved messages one lease looks past for a hot one.
const maxSkips = 256

// leaseLocked leases the next job of l into j; false when nothing is ready, or may
// be taken.
func (q *Queue) leaseLocked(l *Lane, j *Job, lease Lease) bool {
	if q.starvedLocked() {
		return false
	}
	i, ordered := q.nextLocked(l, q.behind.Load())
	if i == 0 {
		return false
	}
	q.leaseSlotsLocked(l, j, i, &leaseRule{max: lease.MaxRecipients, mix: lease.MixDomains, ordered: ordered})
	return true
}

// nextLocked returns the slot that is next in l, 0 when there is none, and whether
// the lane's order has chosen it. While the worker is behind, no moved message may
// be leased (hotOnly), since its settlement would have to wait for Pebble; fresh mail
// is not to wait behind those, so then the order is not asked.
func (q *Queue) nextLocked(l *Lane, hotOnly bool) (i uint32, ordered bool) {
	if l.order == nil || hotOnly {
		return q.turnLocked(l, hotOnly), false
	}
	b, ok := l.order.Next(q.o.Clock().UnixMilli())
	if !ok {
		return 0, false
	}
	return q.bk.At(b).Ready.Front(), true
}

// turnLocked returns the slot whose bucket has its turn, and gives the turn to the
// next. With hotOnly as many as maxSkips moved messages are looked past.
func (q *Queue) turnLocked(l *Lane, hotOnly bool) uint32 {
	first := l.ring.Head()
	if first == 0 {
		return 0
	}
	b := first
	for skips := 0; skips < maxSkips; {
		for i := q.bk.At(b).Ready.Front(); i != 0 && skips < maxSkips; i = q.tb.Next(i) {
			if !hotOnly || q.tb.At(i).Has(table.Hot) {
				l.ring.Turn(q.bk.Next(b))
				return i
			}
			skips++
		}
		if b = q.bk.Next(b); b == first {
			break
		}
	}
	l.ring.Turn(b) // the next look begins where this one gave up
	return 0
}

// leaseRule says which recipients of a message are leased together.
type leaseRule struct {
	max      int  // 0: no limit
	mix      bool // of several domains
	unwarned bool // only those without the flag
	ordered  bool // the lane's order has chosen, and hears of it
}

// leaseSlotsLocked leases into j the message of slot i with what else of it is
// ready in l, as rule says.
func (q *Queue) leaseSlotsLocked(l *Lane, j *Job, i uint32, rule *leaseRule) {
	s := q.tb.At(i)
	b := q.bk.At(s.Bucket)
	d := q.dests[b.Dest]
	j.id = q.tb.ID(i)
	j.Flow, j.Band, j.Via, j.Domain = b.Flow, b.Band, d.via, d.domain
	j.slots, j.lane, j.e, j.failed = j.slots[:0], nil, nil, false
	j.ReadySince = q.timeOf(s.Due)
	var size int64
	if s.Has(table.Hot) {
		e := q.hot[s.Link]
		j.e, size = e, e.size
		if !e.tried {
			j.ReadySince = e.ready
		}
		for _, k := range e.slots {
			q.chooseLocked(l, j, k, d, rule)
		}
	} else {
		for k := i; ; {
			q.chooseLocked(l, j, k, d, rule)
			if k = q.tb.At(k).Link; k == i {
				break
			}
		}
	}
	if rule.ordered {
		j.lane = l
		l.order.Took(s.Bucket, size, len(j.slots))
	}
	q.takeLocked(j)
}

// chooseLocked adds slot i to j's if it goes with destination d.
func (q *Queue) chooseLocked(l *Lane, j *Job, i uint32, d *dest, rule *leaseRule) {
	s := q.tb.At(i)
	if State(s.State()) != Ready || rule.max > 0 && len(j.slots) >= rule.max || rule.unwarned && s.Has(table.Warned) {
		return
	}
	if to := q.destOfLocked(s); to != d && (to.lane != l || to.via != d.via || !rule.mix && to.domain != d.domain) {
		return
	}
	j.slots = append(j.slots, i)
}

// takeLocked begins the lease of j's slots.
func (q *Queue) takeLocked(j *Job) {
	j.Recipients, j.Attempts, j.Warned, j.Failures = j.Recipients[:0], j.Attempts[:0], j.Warned[:0], j.Failures[:0]
	for _, i := range j.slots {
		q.unscheduleLocked(i)
		s := q.tb.At(i)
		s.SetState(uint8(InFlight))
		q.states[InFlight]++
		j.Recipients = append(j.Recipients, int(s.Rcpt))
		j.Attempts = append(j.Attempts, uint16(s.Attempts))
		j.Warned = append(j.Warned, s.Has(table.Warned))
	}
	if j.e != nil {
		q.holdLocked(j.e)
		j.pinLocked()
	}
}

// pinLocked pins the generation of a text that is not in memory. Under the lock
// the message is still in that generation's books.
func (j *Job) pinLocked() {
	e := j.e
	if e.buf == nil && !e.large && !e.detached && j.q.sp.Pin(e.gen) {
		j.body.gen = e.gen
	}
}

// open finds the envelope and the text of what was leased. It returns false when
// they cannot be had: then the lease has ended already.
func (j *Job) open() bool {
	b := &j.body
	b.q = j.q
	j.Body = b
	if j.e == nil {
		return j.openMoved()
	}
	e := j.e
	j.Envelope = e.env
	b.size, b.crc, b.off = e.size, e.crc, e.at
	switch {
	case e.buf != nil:
		b.mem = e.buf.B
	case e.large:
		f, err := j.q.fs.Open(j.q.largePath(e.id))
		if err != nil {
			j.q.alarm("large", err)
			break // the reader reports it as damage
		}
		b.file, b.off = f, 0
	default:
		b.load()
	}
	return true
}

// openMoved reads a moved message's row and opens its text.
func (j *Job) openMoved() bool {
	err := j.q.readMoved(j.id, &j.key, &j.row, &j.msg, &j.body)
	if err == nil {
		j.Envelope = &j.msg.Envelope
		j.body.load()
		return true
	}
	j.q.alarm("read", fmt.Errorf("message %v: %w", j.id, err))
	r := Result{State: Deferred, Due: j.q.o.Clock().Add(time.Minute)}
	if j.failed {
		r = Result{State: Failed}
	}
	if errors.Is(err, pebble.ErrNotFound) || pebble.IsCorruptionError(err) || errors.Is(err, record.ErrMalformed) {
		r = Result{State: Quarantined, Status: mail.NewStatus(451, 4, 3, 0, "stored message is damaged")}
	}
	results := make([]Result, len(j.slots))
	for k := range results {
		results[k] = r
	}
	j.Settle(results)
	return false
}

// readMoved reads the row of a moved message into row and msg, and opens its
// text into b.
func (q *Queue) readMoved(id mail.ID, key, row *[]byte, msg *record.Message, b *body) error {
	b.q = q
	for try := 0; ; try++ {
		loc, err := q.st.message(id, key, row, msg)
		if err != nil {
			return err
		}
		b.size, b.crc, b.off = msg.Body.Size, msg.Body.CRC, loc.Offset
		if loc.Large {
			if b.file, err = q.fs.Open(q.largePath(id)); err != nil {
				q.alarm("large", err) // the reader reports it as damage
			}
			return nil
		}
		b.seg, err = q.st.cold.Acquire(loc.Segment)
		if err == nil || !errors.Is(err, os.ErrNotExist) || try > 2 {
			return err
		}
		// Compacted since the row was read: it says now where the text is.
	}
}

// message reads a moved message's row. row and key are memory to use again.
func (s *store) message(id mail.ID, key, row *[]byte, msg *record.Message) (rows.Location, error) {
	return s.messageIn(s.db, id, key, row, msg)
}

// messageIn is message as a reader sees it.
func (s *store) messageIn(g pebble.Reader, id mail.ID, key, row *[]byte, msg *record.Message) (rows.Location, error) {
	*key = rows.Message((*key)[:0], id)
	v, closer, err := g.Get(*key)
	if err != nil {
		return rows.Location{}, fmt.Errorf("read message row: %w", err)
	}
	*row = append((*row)[:0], v...)
	if err := closer.Close(); err != nil {
		return rows.Location{}, fmt.Errorf("read message row: %w", err)
	}
	if err := record.ParseMessage(*row, msg); err != nil {
		return rows.Location{}, fmt.Errorf("parse message row: %w", err)
	}
	loc, err := rows.ParseLocation(msg.Body.Large)
	if err != nil {
		return loc, fmt.Errorf("parse message row: %w", record.ErrMalformed)
	}
	return loc, nil
}

// Settle ends the lease and records how each recipient ended; len(results) is
// len(Recipients). It never waits for the disk: the record is written within
// 5 ms and synced within 20 ms. Whoever writes an event log writes the lines
// before calling Settle, so that no mark of LogMark passes them. The job is
// invalid afterwards, except as reuse for Next.
func (j *Job) Settle(results []Result) { j.settle(results, nil) }

// settle is Settle with a notice, or nil, that becomes a message by the same record.
func (j *Job) settle(results []Result, notice *Draft) {
	q := j.q
	st := q.newSettlement(j.id)
	j.body.release()
	ways := q.reroutes(j, results)
	q.mu.Lock()
	e := j.e
	ended := false
	for k, i := range j.slots {
		if q.settleSlotLocked(st, e, i, &results[k], &j.told) {
			ended = true
		}
		if ways != nil && ways[k] != 0 {
			q.rerouteLocked(i, ways[k])
		}
	}
	if ended {
		st.last = q.reapLocked(e, j.slots[0])
	}
	if !j.failed {
		q.wholeLocked(e, j.slots[0], ended)
	}
	if e != nil {
		q.returnLocked(e, st)
	}
	if j.lane != nil {
		j.lane.doneLocked(j.Flow)
		j.lane = nil
	}
	if len(st.settle.Changes) > 0 {
		// Under the lock, so that the log has the changes of a recipient in the
		// order of their versions. Append does not wait.
		st.notice, notice = notice, nil
		st.append(record.KindSettle, true)
	} else {
		q.settlements.Put(st)
	}
	q.mu.Unlock()
	if notice != nil {
		notice.Abort()
	}
	j.e, j.Envelope, j.Body = nil, nil, nil
	q.tell(&j.told)
}

// returnLocked ends a lease of a hot message.
func (q *Queue) returnLocked(e *entry, st *settlement) {
	if len(st.settle.Changes) > 0 {
		st.e = e
		e.writes++
		if !e.tried && !e.detached && len(e.slots) > 0 {
			e.tried = true
			q.tried.push(e, listTried)
			if q.tried.n > q.o.HotMessages {
				q.kickWorker()
			}
		}
	}
	q.unholdLocked(e)
}

// settleSlotLocked ends the lease of one slot; true when the recipient ended.
func (q *Queue) settleSlotLocked(st *settlement, e *entry, i uint32, r *Result, told *notices) bool {
	s := q.tb.At(i)
	q.states[InFlight]--
	state, status := r.State, r.Status
	if s.Has(table.DropPending) {
		s.Set(table.DropPending, false)
		if a := q.pendingLocked(i); !state.Terminal() && (state != Failed || a.to == Dropped) {
			if state = a.to; a.status.Code != 0 {
				status = a.status
			}
		}
		q.settleActionsLocked(st, i, state)
	}
	from, warned := leasedFrom(s), s.Has(table.Warned)
	s.Set(markFailing, false)
	if r.Warned {
		s.Set(table.Warned, true)
	}
	if state == Ready || state == InFlight || state == 0 || state > Dropped {
		state = from
	}
	if state == from {
		if s.Has(table.Warned) != warned {
			s.Version++
			st.add(record.Change{Recipient: uint32(s.Rcpt), Version: s.Version, State: uint8(state), Flags: flagsOf(s), Attempts: uint16(s.Attempts)}, r.Due, nil)
		}
		q.giveBackLocked(i, s, state, told)
		return false
	}
	if r.Attempt && s.Attempts < 255 {
		s.Attempts++
	}
	return q.changeLocked(st, e, i, state, r.Due, status, told)
}

// giveBackLocked ends the lease of a slot of which nothing came.
func (q *Queue) giveBackLocked(i uint32, s *table.Slot, state State, told *notices) {
	s.SetState(uint8(state))
	q.states[state]++
	if state == Failed {
		q.failLocked(i, s)
		return
	}
	q.readyLocked(i, s, true, told)
}

// changeLocked gives slot i, which is in no list, its next state, and adds the
// change to st. It reports whether the recipient ended; then reapLocked must
// follow.
func (q *Queue) changeLocked(st *settlement, e *entry, i uint32, state State, due time.Time, status mail.Status, told *notices) bool {
	s := q.tb.At(i)
	s.Version++
	st.add(record.Change{
		Recipient: uint32(s.Rcpt), Version: s.Version, State: uint8(state), Flags: flagsOf(s), Attempts: uint16(s.Attempts),
		Code: status.Code, Enhanced: status.Enhanced,
	}, due, status.Text)
	if state.Terminal() {
		s.SetState(uint8(state))
		q.leaveLocked(s.Bucket)
		return true
	}
	if state == Deferred && s.Attempts > 0 {
		q.retryLocked(s)
	}
	if e != nil && !e.detached {
		e.remember(int(s.Rcpt), status)
	}
	q.scheduleLocked(i, state, q.ticks(due), told)
	return false
}

// remember keeps the last reply about a recipient, for listings and for the row.
// Without a new one the last stands.
func (e *entry) remember(rcpt int, status mail.Status) {
	if status.Code == 0 && len(status.Text) == 0 {
		return
	}
	if e.reply == nil {
		e.reply = make([]reply, len(e.env.Recipients))
	}
	r := &e.reply[rcpt]
	r.code, r.enhanced = status.Code, status.Enhanced
	r.text = append(r.text[:0], status.Text...)
}

// reapLocked frees the slots of a message that have ended; any names one of its
// slots, e is its entry or nil. When none is left the message is gone from
// memory, though a hot one is in the books until that is synced; true then.
func (q *Queue) reapLocked(e *entry, any uint32) (last bool) {
	q.reapKeep, q.reapFree = q.reapKeep[:0], q.reapFree[:0]
	sort := func(i uint32) {
		if State(q.tb.At(i).State()).Terminal() {
			q.reapFree = append(q.reapFree, i)
		} else {
			q.reapKeep = append(q.reapKeep, i)
		}
	}
	hot := q.tb.At(any).Has(table.Hot)
	if hot {
		for _, i := range e.slots {
			sort(i)
		}
		e.slots = append(e.slots[:0], q.reapKeep...)
	} else {
		for i := any; ; {
			sort(i)
			if i = q.tb.At(i).Link; i == any {
				break
			}
		}
		q.ringLocked(q.reapKeep)
	}
	if len(q.reapFree) == 0 {
		return false
	}
	if len(q.reapKeep) > 0 {
		q.index.Put(q.tb, q.reapKeep[0])
	} else {
		q.index.Delete(q.tb, any)
		q.messages--
	}
	for _, i := range q.reapFree {
		q.tb.Free(i)
	}
	return len(q.reapKeep) == 0
}

// ringLocked links the slots of a moved message into a ring.
func (q *Queue) ringLocked(slots []uint32) {
	for k, i := range slots {
		q.tb.At(i).Link = slots[(k+1)%len(slots)]
	}
}

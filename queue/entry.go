package queue

import (
	"time"

	"github.com/valyala/bytebufferpool"

	"postrider/internal/bufpool"
	"postrider/internal/mail"
	"postrider/queue/internal/table"
)

// entry is a message that lives in the hot spool only: what the table of
// waiting recipients cannot hold of it. Queue.mu guards all fields; those that
// describe the message never change and may be read by who holds a lease.
type entry struct {
	id    mail.ID
	env   *mail.Envelope
	size  int64
	crc   uint32
	large bool
	gen   uint64 // generation of its MSG
	at    int64  // where the text begins in it
	ready time.Time

	buf    *bytebufferpool.ByteBuffer // the text, while it is in memory
	slots  []uint32                   // its waiting recipients, in order
	first  [2]uint32                  // memory of slots for the usual message
	reply  []reply                    // last replies, by recipient; nil before the first
	number uint32                     // its place in Queue.hot
	leases int                        // jobs and readers that use env and buf
	writes int                        // settlements that are not synced yet

	tried    bool // has outlived its first attempt
	moving   bool // the worker copies it
	detached bool // moved or ended: no longer in Queue.hot

	links [numLists]link
}

// reply is the last reply about a recipient of a hot message.
type reply struct {
	code     uint16
	enhanced mail.Enhanced
	text     []byte
}

func (r *reply) status() mail.Status {
	return mail.Status{Code: r.code, Enhanced: r.enhanced, Text: r.text}
}

// The lists that an entry can be in.
const (
	listGen   = iota // those of one generation
	listKept         // those whose text is in memory and not leased
	listTried        // those that have outlived their first attempt
	numLists
)

type link struct{ prev, next *entry }

// entryList is a list of entries, linked through one of their links.
type entryList struct {
	head, tail *entry
	n          int
}

func (l *entryList) push(e *entry, which int) {
	k := &e.links[which]
	k.prev, k.next = l.tail, nil
	if l.tail != nil {
		l.tail.links[which].next = e
	} else {
		l.head = e
	}
	l.tail = e
	l.n++
}

// remove takes e out of l; it does nothing when e is not in it.
func (l *entryList) remove(e *entry, which int) {
	k := &e.links[which]
	if k.prev == nil && l.head != e {
		return
	}
	if k.prev != nil {
		k.prev.links[which].next = k.next
	} else {
		l.head = k.next
	}
	if k.next != nil {
		k.next.links[which].prev = k.prev
	} else {
		l.tail = k.prev
	}
	*k = link{}
	l.n--
}

// generation lists the hot entries whose MSG lies in one generation.
type generation struct {
	entries entryList
}

// genLocked returns the list of generation g, which is at least the lowest kept.
func (q *Queue) genLocked(g uint64) *generation {
	for g-q.genLow >= uint64(len(q.gens)) {
		q.gens = append(q.gens, new(generation))
	}
	return q.gens[g-q.genLow]
}

// newEntryLocked makes the hot entry of a message whose MSG is synced, without slots
// yet.
func (q *Queue) newEntryLocked(id mail.ID, env *mail.Envelope, gen uint64, at int64) *entry {
	e, _ := q.entries.Get().(*entry)
	if e == nil {
		e = new(entry)
		e.slots = e.first[:0]
	}
	e.id, e.env, e.gen, e.at = id, env, gen, at
	if n := len(q.hotFree); n > 0 {
		e.number = q.hotFree[n-1]
		q.hotFree = q.hotFree[:n-1]
		q.hot[e.number] = e
	} else {
		e.number = uint32(len(q.hot))
		q.hot = append(q.hot, e)
	}
	q.hotCount++
	q.genLocked(gen).entries.push(e, listGen)
	return e
}

// addSlotLocked gives e a slot for recipient rcpt, in no state yet.
func (q *Queue) addSlotLocked(e *entry, rcpt int, bucket uint32) uint32 {
	i := q.tb.Alloc(e.id)
	s := q.tb.At(i)
	s.Rcpt, s.Bucket, s.Link = uint16(rcpt), bucket, e.number
	s.Set(table.Hot, true)
	if len(e.slots) == 0 {
		q.index.Put(q.tb, i)
	}
	e.slots = append(e.slots, i)
	return i
}

// keepLocked holds on to e's text, or releases it when memory is short: the
// newest message is the one that will wait longest.
func (q *Queue) keepLocked(e *entry, buf *bytebufferpool.ByteBuffer) {
	if buf == nil {
		return
	}
	e.buf = buf
	if q.mem.Load() > q.o.MemoryBytes {
		q.dropTextLocked(e)
		return
	}
	q.kept.push(e, listKept)
}

// dropTextLocked releases e's text; it can be read again from the spool.
func (q *Queue) dropTextLocked(e *entry) {
	q.kept.remove(e, listKept)
	if e.buf != nil {
		q.mem.Add(-int64(cap(e.buf.B)))
		bufpool.Put(e.buf)
		e.buf = nil
	}
}

// holdLocked keeps e's envelope, and its text if that is in memory, until
// unholdLocked.
func (q *Queue) holdLocked(e *entry) {
	e.leases++
	q.kept.remove(e, listKept)
}

func (q *Queue) unholdLocked(e *entry) {
	e.leases--
	if e.leases == 0 && e.buf != nil {
		if e.tried || e.detached || len(e.slots) == 0 {
			q.dropTextLocked(e) // kept for the first attempt only
		} else {
			q.kept.push(e, listKept)
		}
	}
	q.disposeLocked(e)
}

func (q *Queue) unhold(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unholdLocked(e)
}

// detachLocked takes e out of the hot spool's books: it has ended and that is
// synced, or its rows and text are where they outlive the spool.
func (q *Queue) detachLocked(e *entry) {
	e.detached = true
	q.genLocked(e.gen).entries.remove(e, listGen)
	q.tried.remove(e, listTried)
	q.hot[e.number] = nil
	q.hotFree = append(q.hotFree, e.number)
	q.hotCount--
	q.hotBytes -= e.size
	q.disposeLocked(e)
}

// disposeLocked releases e's memory when nobody uses it any more.
func (q *Queue) disposeLocked(e *entry) {
	if !e.detached || e.leases > 0 || e.writes > 0 || e.moving {
		return
	}
	q.dropTextLocked(e)
	q.putEnvelope(e.env)
	slots := e.slots[:0]
	if cap(slots) > 64 {
		slots = e.first[:0]
	}
	*e = entry{slots: slots}
	q.entries.Put(e)
}

// maxEnvelopeBytes is the most memory that a pooled envelope may hold on to.
const maxEnvelopeBytes = 64 << 10

func (q *Queue) putEnvelope(env *mail.Envelope) {
	if env == nil || env.Retained() > maxEnvelopeBytes {
		return
	}
	env.Reset()
	q.envelopes.Put(env)
}

func (q *Queue) newEnvelope() *mail.Envelope {
	if env, _ := q.envelopes.Get().(*mail.Envelope); env != nil {
		return env
	}
	return new(mail.Envelope)
}

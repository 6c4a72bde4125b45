package schedule

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"postrider/internal/mail"
)

// world is a simulated one: sites with hosts, an engine that does with the scheduler
// what the real one does, and a clock that jumps from event to event.
type world struct {
	t      *testing.T
	now    time.Time
	skew   time.Duration // of the wall clock that the scheduler is shown
	events eventHeap
	seq    int
	random *rand.Rand
	s      *Scheduler
	table  *Buckets
	retry  Retry
	lanes  []*simLane
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

func newWorld(t *testing.T, o Options) *world {
	w := &world{t: t, now: epoch, random: rand.New(rand.NewPCG(7, 11)), table: NewBuckets(), retry: Retry{}.WithDefaults()}
	o.Random = w.random.Float64
	w.s = New(o)
	return w
}

func (w *world) clock() time.Time { return w.now.Add(w.skew) }

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.events, event{w.now.Add(d), w.seq, do})
}

// run lets d pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.events) > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

// simHost is one address of a site.
type simHost struct {
	addr  netip.AddrPort
	dial  time.Duration // until it answers, or until a dial to it fails
	takes time.Duration // a transaction
	dead  bool
	open  int
	most  int // connections at a time that were open
}

// simSite is the other side.
type simSite struct {
	hosts []*simHost
	limit int  // connections; 0: any number
	late  bool // the limit is told at MAIL, not in the greeting
	open  int
	reply func(m *simMail) mail.Class // nil: takes everything

	delivered, refused, deferred, dials int
	started                             int // transactions
	byFlow                              map[uint32]int
}

func newSite(hosts int, takes time.Duration) *simSite {
	s := &simSite{byFlow: map[uint32]int{}}
	for i := range hosts {
		s.hosts = append(s.hosts, &simHost{
			addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 25), dial: 20 * time.Millisecond, takes: takes,
		})
	}
	return s
}

// simMail is a message for one recipient.
type simMail struct {
	bucket, flow uint32
	band         uint8
	tries        int
	seen         func() // its first attempt starts
}

// simLane is the engine's side of a lane, and the queue's.
type simLane struct {
	w       *world
	number  uint32
	gates   *Lane
	order   *Order
	site    *simSite
	ready   int
	buckets map[uint32]*simLine
	alarm   time.Time
}

func (w *world) lane(k Key, s *simSite, c Caps) *simLane {
	l := &simLane{
		w: w, number: uint32(len(w.lanes)), gates: w.s.Lane(k, c), order: NewOrder(OrderOptions{Buckets: w.table}), site: s, buckets: map[uint32]*simLine{},
	}
	l.gates.Tag = l
	w.lanes = append(w.lanes, l)
	return l
}

// send queues n messages of a flow.
func (l *simLane) send(flow uint32, band uint8, n int) {
	bucket := l.number<<20 | flow<<2 | uint32(band)
	for range n {
		l.add(&simMail{bucket: bucket, flow: flow, band: band})
	}
	l.wake()
}

func (l *simLane) add(m *simMail) {
	q := l.line(m)
	q.mails = append(q.mails, m)
}

// simLine is what is ready in a bucket, from head on.
type simLine struct {
	mails []*simMail
	head  int
}

// line returns the line of a message that is going to join it.
func (l *simLane) line(m *simMail) *simLine {
	q := l.buckets[m.bucket]
	if q == nil {
		q = &simLine{}
		l.buckets[m.bucket] = q
	}
	if q.head == len(q.mails) {
		l.order.Add(m.bucket, m.flow, m.band)
	}
	l.ready++
	return q
}

// lease takes the message whose turn it is.
func (l *simLane) lease() *simMail {
	bucket, ok := l.order.Next(l.w.clock().UnixMilli())
	if !ok {
		return nil
	}
	q := l.buckets[bucket]
	m := q.mails[q.head]
	q.mails[q.head] = nil
	q.head++
	l.order.Took(bucket, 10_000, 1)
	if q.head == len(q.mails) {
		l.order.Remove(bucket)
	}
	l.ready--
	return m
}

// back gives a leased message back untried: first in its line, as it is the oldest.
func (l *simLane) back(m *simMail) {
	l.order.Done(m.flow)
	q := l.line(m)
	if q.head == 0 {
		q.mails = append([]*simMail{nil}, q.mails...)
		q.head = 1
	}
	q.head--
	q.mails[q.head] = m
}

func (l *simLane) wake() {
	if l.ready == 0 {
		return
	}
	d := l.gates.Decide(l.w.clock(), l.ready)
	if d.Open > 0 {
		l.order.Probe(d.Probe)
	}
	for range d.Open {
		(&simConn{l: l}).open()
	}
	until := d.Until
	if until.IsZero() && d.Open == 0 && l.order.NextAt(l.w.clock().UnixMilli()) > 0 {
		until = l.w.clock().Add(5 * time.Second)
	}
	if !until.IsZero() && (l.alarm.IsZero() || until.Before(l.alarm)) {
		l.alarm = until
		l.w.after(until.Sub(l.w.clock()), func() {
			l.alarm = time.Time{}
			l.wake()
		})
	}
}

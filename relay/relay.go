// Package relay is the mail transfer agent: it joins receiving sessions, the
// queue and the connections that hand messages on, and owns their lifetime.
//
// A message comes in through a session (intake.go), rests in the queue, and
// leaves through a lane: the recipients that share a next hop, and the
// connections to it (lane.go). A connection pulls its work (source.go), so a
// slow hop holds up nobody else, and what it reports about each recipient is
// judged and recorded in one place (settle.go).
//
// # Guarantees
//
// A session's 250 follows the queue's sync. Every recipient of an accepted
// message ends exactly once; until then the queue has it. Of a recipient's
// events the log has one that is terminal, written before the queue forgets the
// recipient: after a crash an event can stand there twice, never not at all.
// A stopped engine has settled everything its connections had in flight; what it
// had to cut off is deferred, and its event says so.
//
// # Concurrency
//
// Engine's methods may be called by any goroutine. A session belongs to the
// goroutine of its connection, a source to that of its outbound connection. Lock
// order: Engine.mu before lane.mu; neither is held across I/O or across a call
// into the queue, but for the queue's counters.
package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/policy"
	"postrider/relay/route"
)

// Transport carries deliveries to one kind of next hop.
type Transport interface {
	// Serve is the life of one connection as eg says: it takes deliveries from src,
	// sets their outcomes and gives them back, until src has none. After quiet is
	// closed it finishes what it has and takes no more; when ctx ends it gives
	// back what it has at once. An outcome left zero says that the recipient was
	// not tried. The error, which may have a method MailStatus() mail.Status, says
	// that the connection has done no good: it never came up, or broke before the
	// hop took anything.
	Serve(ctx context.Context, quiet <-chan struct{}, eg *mail.Egress, src mail.Source) error
}

// Rules is what a reload can change, as one immutable snapshot.
type Rules struct {
	Access     *policy.Rules
	Routes     *route.Table
	Postmaster []byte // address that a bare <postmaster> stands for; empty: such mail is held
}

// Options configure an engine.
type Options struct {
	Hostname string // in our Received lines
	Queue    queue.Options
	Rules    *Rules // must be set
	// SMTP carries HopSMTP and HopLMTP; must be set.
	SMTP Transport
	// Log gets every event; must be set.
	Log   *maillog.Log
	Retry Retry
	// Metrics counts; must be set.
	Metrics *metrics.Registry
	// ConnectionsPerHop bounds the connections to one next hop. 0: 20.
	ConnectionsPerHop int
	// RecipientsPerTransaction bounds the recipients of one delivery. 0: 100,
	// what every server must take (RFC 5321 section 4.5.3.1.8).
	RecipientsPerTransaction int
	Clock                    func() time.Time // nil: time.Now
	// ClockKept reports that a time service keeps the wall clock, so that a leap of
	// it is believed. nil: as the kernel says.
	ClockKept func() bool
	Observe   Observer // nil: nobody is told
}

// Observer is told of what concerns the engine rather than a message.
type Observer interface {
	// LanePaused says that a hop could not be reached and is left alone for a
	// while. cause is for the operator only.
	LanePaused(lane string, reason mail.Status, pause time.Duration, cause error)
	// ClockDoubted says that the wall clock has leapt, and what follows from it.
	ClockDoubted(err error)
}

// Engine is a running relay.
type Engine struct {
	o     Options
	queue *queue.Queue
	rules atomic.Pointer[Rules]

	ledger ledger

	pull        context.Context // ends when nothing new is handed out
	stopPull    context.CancelFunc
	clock       clockGuard
	opened      time.Time
	work        context.Context // ends when connections and commits must let go
	stopWork    context.CancelFunc
	flushNow    chan struct{}  // asks the log flusher not to wait
	flushBytes  int64          // of mail, after which it is asked
	unflushed   atomic.Int64   // bytes of mail since the last flush
	connections sync.WaitGroup // goroutines of lanes
	flushed     chan struct{}  // closed when the log flusher may end
	flusher     sync.WaitGroup

	mu      sync.Mutex // guards following
	lanes   map[string]*lane
	hops    map[string]mail.Hop // every hop that Bind has named
	started bool
}

// Open opens the queue and readies an engine; nothing is delivered before Start.
// Of ctx the values are used, not its end: Stop ends an engine.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.ClockKept == nil {
		o.ClockKept = kernelKeepsTime
	}
	if o.ConnectionsPerHop <= 0 {
		o.ConnectionsPerHop = 20
	}
	if o.RecipientsPerTransaction <= 0 {
		o.RecipientsPerTransaction = 100
	}
	o.Retry = o.Retry.withDefaults()
	e := &Engine{o: o, lanes: make(map[string]*lane), hops: make(map[string]mail.Hop), flushed: make(chan struct{}), flushNow: make(chan struct{}, 1)}
	e.flushBytes = cmp.Or(o.Queue.SegmentBytes, segmentBytes) / flushSegmentShare
	e.rules.Store(o.Rules)
	e.pull, e.stopPull = context.WithCancel(context.WithoutCancel(ctx))
	e.work, e.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	q := o.Queue
	q.Clock = o.Clock
	q.MaxInterval = o.Retry.longest()
	q.Bind = e.bind
	q.OnReady = e.ready
	q.Replayed = e.replayed
	q.Durable = e.durable
	opened, err := queue.Open(q)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	e.queue = opened
	if err := e.startClock(); err != nil {
		return nil, errors.Join(err, opened.Close(context.WithoutCancel(ctx)))
	}
	return e, nil
}

// Start begins to deliver.
func (e *Engine) Start() {
	e.mu.Lock()
	e.started = true
	e.mu.Unlock()
	for _, l := range e.queue.Lanes() {
		e.ready(l)
	}
	e.flusher.Add(1)
	go e.flushLog()
}

// Reload swaps the rules; recipients that wait are bound to lanes anew.
func (e *Engine) Reload(r *Rules) {
	e.rules.Store(r)
	e.queue.Rebind()
}

// ErrCutOff comes from Drain when deliveries were still in flight at its end.
// Their recipients are deferred; a next hop may have taken some of them.
var ErrCutOff = errors.New("deliveries in flight were cut off")

// Drain hands out nothing new and waits until what is in flight has settled. When
// ctx ends it cuts off what is left, and from then on no session waits for a
// commit any longer, be it after the return of Drain.
func (e *Engine) Drain(ctx context.Context) error {
	context.AfterFunc(ctx, e.stopWork)
	e.stopPull()
	e.mu.Lock()
	for _, l := range e.lanes {
		l.stop()
	}
	e.mu.Unlock()
	settled := make(chan struct{})
	go func() {
		e.connections.Wait()
		close(settled)
	}()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
	}
	<-settled
	return ErrCutOff
}

// Close closes the queue. It must follow Drain and the end of every session.
func (e *Engine) Close() error {
	e.stopWork()
	close(e.flushed)
	e.flusher.Wait()
	return e.queue.Close(context.Background())
}

// Queue gives the operator's interface its queue.
func (e *Engine) Queue() *queue.Queue { return e.queue }

// bind names the lane of a domain. No domain is the bare postmaster of a system
// that names nobody for it: that mail is held.
func (e *Engine) bind(domain, _ []byte) string {
	var hop mail.Hop
	if len(domain) == 0 {
		hop = mail.Hop{Kind: mail.HopHold}
	} else {
		hop = e.rules.Load().Routes.Lookup(domain, nil).Hop
	}
	key := hop.String()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hops[key] = hop
	return key
}

// ready is told by the queue that a lane has work and nobody to take it.
func (e *Engine) ready(q *queue.Lane) {
	e.mu.Lock()
	if !e.started {
		e.mu.Unlock()
		return
	}
	l := e.lanes[q.Key()]
	if l == nil {
		l = &lane{e: e, q: q, hop: e.hops[q.Key()], site: e.o.Metrics.Site(q.Key())}
		e.lanes[q.Key()] = l
	}
	e.mu.Unlock()
	l.wake()
}

// transport returns what carries a kind of hop; nil when nothing here does.
// Sessions refuse such recipients; those whose route a reload has turned there
// wait, with that for a reason, until it is turned again or they expire.
func (e *Engine) transport(kind mail.HopKind) Transport {
	switch kind {
	case mail.HopSMTP, mail.HopLMTP:
		return e.o.SMTP
	case mail.HopHold, mail.HopDiscard, mail.HopReject:
		return handOver{}
	}
	return nil
}

// random returns a number in [0, 1) for spreading waits.
func (e *Engine) random() float64 { return rand.Float64() }

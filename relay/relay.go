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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/bounce"
	"postrider/relay/classify"
	"postrider/relay/directory"
	"postrider/relay/policy"
	"postrider/relay/resolve"
	"postrider/relay/route"
	"postrider/relay/schedule"
	"postrider/relay/site"
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
	Resolve    *resolve.Rules // what addresses at RCPT stand for; nil: themselves, by Access and Routes. Who has a mailbox Options.Local knows
	Submission Submission     // of clients that have logged in
	Postmaster []byte         // address that a bare <postmaster> stands for; empty: such mail is held
	NoDirect   bool           // all mail for Options.Local goes through the queue

	Replies    *classify.Table                                   // nil: the codes alone tell what a reply means
	Sites      *site.Options                                     // what a mail exchanger may be; nil: the zero value
	Templates  *bounce.Templates                                 // of notices; nil: the built-in ones
	NoticePool *route.Pool                                       // sources that notices leave from; nil: those of the route
	Caps       func(source, site, provider string) schedule.Caps // of a lane; nil: none but Options.ConnectionsPerHop
	Providers  map[string]schedule.Caps                          // that all sites of a provider share
	Sources    map[string]schedule.Caps                          // that all mail from a source shares
}

// Options configure an engine.
type Options struct {
	Hostname string // in our Received lines
	Queue    queue.Options
	Rules    *Rules // must be set
	// SMTP carries HopMX, HopSMTP and HopLMTP; must be set.
	SMTP Transport
	// Local carries HopLocal; nil: nothing is delivered here.
	Local Local
	// Resolver finds mail exchangers; nil: mail for HopMX is refused for now.
	Resolver site.Resolver
	// Log gets every event; must be set.
	Log   *maillog.Log
	Retry schedule.Retry
	// WarnAfter is the age at which a sender is told that a recipient still waits;
	// 0: never.
	WarnAfter time.Duration
	// Learned is what an earlier run has learned of sites (Engine.Learned).
	Learned []schedule.Learned
	// Guard bounds the notices to one address; nil: nothing does.
	Guard *bounce.Guard
	// Metrics counts; must be set.
	Metrics *metrics.Registry
	// Connections bounds the connections to all sites together. 0: 1000.
	Connections int
	// ConnectionsPerHop bounds the connections to one site. 0: 20.
	ConnectionsPerHop int
	// RecipientsPerTransaction bounds the recipients of one delivery. 0: 100,
	// what every server must take (RFC 5321 section 4.5.3.1.8).
	RecipientsPerTransaction int
	// BulkRecipientsPerHour is how many recipients a sender's mail has in an hour
	// before more of it counts as bulk, which is after other mail. 0: 1000.
	BulkRecipientsPerHour int
	Clock                 func() time.Time // nil: time.Now
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
	// AliasCycle names an address at which the aliases go round in a circle.
	AliasCycle(address string)
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

	dir       *directory.Directory // nil: nothing is resolved
	hasQueue  chan struct{}        // closed when queue is set: mail is bound, and domains are looked up, while it opens
	sched     *schedule.Scheduler
	buckets   *schedule.Buckets // of all orders; Queue's lock guards it
	bulk      *meter
	vias      vias
	agents    agents
	rebindNow chan struct{} // asks the sweeper to have all domains bound anew

	mu      sync.Mutex // guards following
	lanes   map[string]*lane
	dests   map[string]*destination // what every key that bind has returned stands for
	started bool

	restsMu  sync.Mutex // guards following
	resting  map[restKey]time.Time
	failures map[string]failure // by key of the lane; of lanes that were reached there are none
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
	if o.BulkRecipientsPerHour <= 0 {
		o.BulkRecipientsPerHour = 1000
	}
	o.Retry = o.Retry.WithDefaults()
	e := &Engine{
		o: o, lanes: make(map[string]*lane), dests: make(map[string]*destination), resting: make(map[restKey]time.Time), failures: make(map[string]failure),
		hasQueue: make(chan struct{}), flushed: make(chan struct{}), flushNow: make(chan struct{}, 1), rebindNow: make(chan struct{}, 1),
		buckets: schedule.NewBuckets(), bulk: newMeter(),
		sched: schedule.New(schedule.Options{Connections: o.Connections, LaneConnections: o.ConnectionsPerHop, PerConnection: jobsPerConnection}),
	}
	e.flushBytes = cmp.Or(o.Queue.SegmentBytes, segmentBytes) / flushSegmentShare
	e.sched.Import(o.Clock(), o.Learned)
	e.setRules(o.Rules)
	e.pull, e.stopPull = context.WithCancel(context.WithoutCancel(ctx))
	e.work, e.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	if o.Resolver != nil {
		e.dir = directory.New(ctx, e.directoryOptions())
	}
	q := o.Queue
	q.Clock = o.Clock
	q.MaxInterval = o.Retry.Longest()
	q.Place = e.place
	q.Bind = e.bind
	q.Reroute = e.reroute
	q.Order = e.order
	q.OnReady = e.ready
	q.Replayed = e.replayed
	q.Durable = e.durable
	if o.Local != nil {
		q.Ended = e.agents.end
		e.agents.site = o.Metrics.Site(laneLocal)
	}
	opened, err := queue.Open(q)
	e.queue = opened
	close(e.hasQueue)
	if err != nil {
		if e.dir != nil {
			e.dir.Close()
		}
		return nil, fmt.Errorf("queue: %w", err)
	}
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
	e.connections.Add(2)
	go e.sendNotices()
	go e.sweep()
	if e.o.Local != nil {
		e.connections.Go(e.recall)
	}
}

// setRules puts rules in force.
func (e *Engine) setRules(r *Rules) {
	filled := *r
	if filled.Replies == nil {
		filled.Replies = new(classify.Table)
	}
	if filled.Resolve == nil {
		filled.Resolve = &resolve.Rules{Access: r.Access, Routes: r.Routes, Postmaster: r.Postmaster}
	}
	if filled.Resolve.Mailboxes == nil && e.o.Local != nil {
		known := *filled.Resolve
		known.Mailboxes = e.o.Local
		filled.Resolve = &known
	}
	e.rules.Store(&filled)
	for name, c := range r.Providers {
		e.sched.Provider(name, c)
	}
	for name, c := range r.Sources {
		e.sched.Source(name, c)
	}
}

// order makes the pull order of a lane.
func (e *Engine) order(string) queue.Order {
	return schedule.NewOrder(schedule.OrderOptions{Buckets: e.buckets})
}

func (e *Engine) directoryOptions() directory.Options {
	return directory.Options{
		Lookup: func(ctx context.Context, name string) (site.Site, mail.Status) {
			domain, tls := e.policyOf(name)
			return site.Lookup(ctx, e.o.Resolver, domain, tls, e.siteOptions())
		},
		Changed: e.rebound,
		Wanted:  func(name string) bool { return e.waits(name) },
		Clock:   e.o.Clock,
		Random:  e.random,
	}
}

// Reload swaps the rules; recipients that wait are bound to lanes anew.
func (e *Engine) Reload(r *Rules) {
	e.setRules(r)
	if e.dir != nil {
		e.dir.Forget() // protection, own addresses or providers may be others
	}
	e.queue.Rebind()
	e.recap()
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
	if e.dir != nil {
		e.dir.Close()
	}
	close(e.flushed)
	e.flusher.Wait()
	return e.queue.Close(context.Background())
}

// Queue gives the operator's interface its queue.
func (e *Engine) Queue() *queue.Queue { return e.queue }

// ready is told by the queue that a lane has work and nobody to take it.
func (e *Engine) ready(q *queue.Lane) {
	if l := e.lane(q); l != nil {
		l.wake()
	}
}

// lane returns the lane of one of the queue's; nil before Start.
func (e *Engine) lane(q *queue.Lane) *lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.started {
		return nil
	}
	l := e.lanes[q.Key()]
	if l != nil {
		return l
	}
	to := e.dests[q.Key()]
	if to == nil {
		to = &destination{}
	}
	l = &lane{e: e, q: q, to: to, site: e.o.Metrics.Site(cmp.Or(to.site, q.Key()))}
	switch to.hop.Kind {
	case mail.HopMX, mail.HopSMTP, mail.HopLMTP:
		if !to.resolves {
			l.gates = e.sched.Lane(to.key(), e.capsOf(e.rules.Load(), to))
			l.gates.Tag = l
		}
	}
	e.lanes[q.Key()] = l
	return l
}

// capsOf returns the operator's limits of a lane.
func (e *Engine) capsOf(rules *Rules, to *destination) schedule.Caps {
	if rules.Caps == nil {
		return schedule.Caps{}
	}
	return rules.Caps(to.source, to.site, to.provider)
}

// Learned returns how many connections sites are known to bear, for the next start.
func (e *Engine) Learned() []schedule.Learned { return e.sched.Export(e.o.Clock()) }

// recap puts the limits of new rules in force.
func (e *Engine) recap() {
	rules := e.rules.Load()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lanes {
		if l.gates != nil {
			e.sched.Lane(l.to.key(), e.capsOf(rules, l.to))
		}
	}
}

// mixes reports a provider whose rule allows recipients of several domains in one
// transaction.
func (e *Engine) mixes(provider string) bool {
	if provider == "" {
		return false
	}
	for i := range e.siteOptions().Providers {
		if p := &e.siteOptions().Providers[i]; p.Name == provider {
			return p.MixDomains
		}
	}
	return false
}

// fresh reports that a job's domain still belongs to the lane that it was leased
// from. If not, its mail has been bound anew.
func (e *Engine) fresh(job *queue.Job) bool {
	if e.dir == nil {
		return true
	}
	name := job.Domain
	if isPlain(job.Via) {
		return e.stands(name, job.Domain)
	}
	if v := parseVia([]byte(job.Via)); len(v.selector) > 0 || v.marks&markWaived != 0 {
		rules := e.rules.Load()
		name = string(directoryName(rules, []byte(job.Domain), v, rules.Routes.Lookup([]byte(job.Domain), v.selector)))
	}
	return e.stands(name, job.Domain)
}

// stands reports that what the directory has said of a name still holds. If not, the
// domain's mail is bound anew.
func (e *Engine) stands(name, domain string) bool {
	if e.dir.Fresh(name) {
		return true
	}
	e.queue.RebindDomain(domain)
	return false
}

// waits reports that mail waits for a domain of the directory.
func (e *Engine) waits(name string) bool {
	domain, _, _ := strings.Cut(name, string(viaSeparator))
	return e.queue.Waits(domain)
}

// senderOf returns the reverse-path of a job's transaction.
func (e *Engine) senderOf(job *queue.Job) []byte {
	env := job.Envelope
	if isPlain(job.Via) || parseVia([]byte(job.Via)).marks&markForwarded == 0 {
		return env.Sender
	}
	sender, err := e.rules.Load().Resolve.Sender(nil, env.Sender, time.UnixMicro(env.ArrivedMicro))
	if err != nil {
		return env.Sender // a receiver that checks SPF may not like it, but it is better than no attempt
	}
	return sender
}

// pause waits, unless the engine stops handing out; false then.
func (e *Engine) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.pull.Done():
		return false
	}
}

// transport returns what carries a kind of hop; nil when nothing here does.
// Sessions refuse such recipients; those whose route a reload has turned there
// wait, with that for a reason, until it is turned again or they expire.
func (e *Engine) transport(kind mail.HopKind) Transport {
	switch kind {
	case mail.HopMX:
		if e.dir == nil {
			return nil
		}
		return e.o.SMTP
	case mail.HopSMTP, mail.HopLMTP:
		return e.o.SMTP
	case mail.HopLocal:
		if e.o.Local != nil {
			return e.o.Local
		}
	case mail.HopHold, mail.HopDiscard, mail.HopReject:
		return handOver{e}
	}
	return nil
}

// random returns a number in [0, 1) for spreading waits.
func (e *Engine) random() float64 { return rand.Float64() }

package relay

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/mail"
	"postrider/internal/metrics"
	"postrider/queue"
)

// A connection is added to a lane for every jobsPerConnection ready jobs that
// no connection waits for: a pipelining connection carries that many at once, so
// fewer would leave it idle and more would only add connections.
const jobsPerConnection = 8

// The pauses of a lane whose next hop can't be reached: the first, and the
// longest after doubling. During a pause nothing is written for the messages
// that wait: a probe costs one connection, not one attempt a message.
const (
	firstPause   = 2 * time.Second
	longestPause = 5 * time.Minute
)

// lane owns the connections to one next hop.
type lane struct {
	e    *Engine
	q    *queue.Lane
	hop  mail.Hop
	site *metrics.Site

	failing atomic.Bool // failures > 0, for a look without the lock

	mu          sync.Mutex // guards following
	connections int
	failures    int         // connections in a row that never came up
	resume      *time.Timer // runs while the lane is paused, else nil
	pausedUntil time.Time
	reason      mail.Status // of the last failure; its text is our own copy
}

// wake adds the connections that the lane's work calls for. It never blocks.
func (l *lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked()
}

func (l *lane) wakeLocked() {
	if l.resume != nil || l.e.pull.Err() != nil {
		return
	}
	ready := l.q.ReadyCount()
	if ready == 0 {
		return
	}
	want := min(1+ready/jobsPerConnection, l.e.o.ConnectionsPerHop)
	switch {
	case l.e.transport(l.hop.Kind) == nil:
		l.reason = statusNoRouteYet
		l.sleepLocked(longestPause) // to look for those that expire
		return
	case l.failures > 0:
		want = 1 // one probe until the hop has answered
	}
	// All at once: what became ready during a pause, or was there at start, is
	// told of no second time.
	for l.connections < want {
		l.connections++
		l.e.connections.Add(1)
		go l.run()
	}
}

// run is the life of one of the lane's connections, with its successors as long
// as there is work.
func (l *lane) run() {
	defer l.e.connections.Done()
	src := &source{l: l}
	for {
		err := l.e.transport(l.hop.Kind).Serve(l.e.work, l.e.pull.Done(), &mail.Egress{Hop: l.hop, Site: l.q.Key()}, src)
		src.release()
		ended, pause := l.leave(err)
		if pause > 0 && l.e.o.Observe != nil {
			l.e.o.Observe.LanePaused(l.q.Key(), statusOf(err), pause, err)
		}
		if ended {
			return
		}
	}
}

// leave decides what follows the end of a connection: it gives its place up
// (ended), perhaps with a pause of the lane, or the next one is opened. The ready count is read under the same lock as
// wakeLocked reads it, so a job that arrives meanwhile is seen by one of them.
func (l *lane) leave(err error) (ended bool, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.e.pull.Err() != nil:
	case err != nil:
		pause = l.pauseLocked(err)
	default:
		if l.q.ReadyCount() > 0 {
			return false, 0
		}
	}
	l.connections--
	return true, pause
}

// served notes that the hop answered: a pause's memory is over.
func (l *lane) served() {
	if !l.failing.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing.Store(false)
	l.failures = 0
	l.reason = mail.Status{}
	l.wakeLocked()
}

// pauseLocked begins a pause and returns how long it is: 0 when the lane is
// paused already, since connections that fail side by side tell of one failure.
func (l *lane) pauseLocked(err error) time.Duration {
	if l.resume != nil {
		return 0
	}
	l.reason = statusOf(err)
	l.reason.Text = bytes.Clone(l.reason.Text)
	l.failures++
	l.failing.Store(true)
	pause := longestPause
	if l.failures < 9 {
		pause = min(firstPause<<(l.failures-1), longestPause)
	}
	pause = time.Duration(float64(pause) * (0.75 + 0.5*l.e.random()))
	l.sleepLocked(pause)
	return pause
}

func (l *lane) sleepLocked(pause time.Duration) {
	l.pausedUntil = l.e.o.Clock().Add(pause)
	l.resume = time.AfterFunc(pause, l.unpause)
}

func (l *lane) unpause() {
	l.mu.Lock()
	if l.e.pull.Err() != nil {
		l.mu.Unlock()
		return
	}
	l.e.connections.Add(1) // Stop waits for what expire settles
	l.mu.Unlock()
	defer l.e.connections.Done()
	l.expire()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resume = nil
	l.pausedUntil = time.Time{}
	l.wakeLocked()
}

// expire ends recipients that have waited out their lifetime while their next
// hop could not be reached, wherever in the lane's line they stand.
func (l *lane) expire() {
	l.mu.Lock()
	reason := l.reason
	l.mu.Unlock()
	if reason.IsZero() { // a connection that was up has served meanwhile: all may be tried
		return
	}
	src := &source{l: l}
	for l.e.pull.Err() == nil && !l.e.ExpirySuspended() {
		// By whole milliseconds that have passed, so that each is judged as old.
		d := src.older(l.e.o.Clock().Add(-l.e.o.Retry.Lifetime))
		if d == nil {
			return
		}
		d.SetRest(reason)
		src.Done(d)
	}
}

// stop ends a pause for good.
func (l *lane) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resume != nil {
		l.resume.Stop()
	}
}

// LaneState tells how a lane stands, for operators.
type LaneState struct {
	Key         string
	Ready       int
	Waiting     int
	Connections int
	PausedUntil time.Time   // zero: not paused
	Reason      mail.Status // why it is paused
}

// Lanes tells how every lane stands.
func (e *Engine) Lanes() []LaneState {
	e.mu.Lock()
	lanes := make([]*lane, 0, len(e.lanes))
	for _, l := range e.lanes {
		lanes = append(lanes, l)
	}
	e.mu.Unlock()
	states := make([]LaneState, 0, len(lanes))
	for _, l := range lanes {
		l.mu.Lock()
		states = append(states, LaneState{
			Key: l.q.Key(), Ready: l.q.ReadyCount(), Waiting: l.q.Waiting(),
			Connections: l.connections, PausedUntil: l.pausedUntil, Reason: l.reason,
		})
		l.mu.Unlock()
	}
	return states
}

// handOver is the transport of the hops that are no server: what it is given
// has ended as far as the wire goes, and settling records what it came to.
type handOver struct{}

var handedOver = mail.NewStatus(250, 2, 0, 0, "done")

func (handOver) Serve(ctx context.Context, _ <-chan struct{}, eg *mail.Egress, src mail.Source) error {
	outcome := handedOver
	if eg.Hop.Kind == mail.HopReject { // a reload sent mail that was accepted before down this road
		outcome = statusRouteReject
	}
	for {
		d := src.Next(ctx, time.Second)
		if d == nil {
			return nil
		}
		d.SetRest(outcome)
		src.Done(d)
	}
}

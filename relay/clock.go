package relay

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postrider/queue"
)

// maxClockStep is how far the wall clock may leap before nobody believes it.
const maxClockStep = time.Hour

// clockGuard keeps a wall clock that has leapt ahead from ending mail that is not
// old: from such a step on, or from a start that finds the clock that far beyond
// the last time that is on record, no message expires that had arrived before,
// until the clock is confirmed. It confirms itself when the kernel says that a time
// service keeps it, and a step that is undone was none; else an operator must.
// Retries are not touched: their times are by the monotonic clock.
type clockGuard struct {
	// kept reports that the kernel's clock is kept by a time service.
	kept func() bool

	before atomic.Int64 // messages that arrived before it, in Unix microseconds, do not expire; 0: all do

	mu       sync.Mutex // guards following
	wall     time.Time  // at the last look, without its monotonic part
	mono     time.Duration
	lead     time.Duration // of the wall clock over what it should show
	believed time.Time     // the last time that was believed, while there is doubt
}

// begin takes the clock at a start. last is the latest time that is on record, zero
// when there is none: nothing else tells a leap from a long rest. doubt is what an
// earlier start has left behind.
func (g *clockGuard) begin(now, last time.Time, doubt *queue.Doubt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wall = now.Round(0)
	if doubt != nil {
		last = doubt.Believed
		g.before.Store(doubt.Since.UnixMicro())
		g.believed = last
	}
	if !last.IsZero() {
		g.lead = g.wall.Sub(last)
	}
	g.judgeLocked(g.wall, last)
}

// look compares the clocks; mono is the time since begin by the monotonic one.
func (g *clockGuard) look(now time.Time, mono time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	wall := now.Round(0)
	should := g.wall.Add(mono - g.mono)
	g.wall, g.mono = wall, mono
	if step := wall.Sub(should); step.Abs() > maxClockStep {
		g.lead += step
	}
	g.judgeLocked(should, should)
}

// judgeLocked suspends or resumes. now is what the clock should show, believed the
// last time that is sure.
func (g *clockGuard) judgeLocked(now, believed time.Time) {
	switch {
	case g.lead <= maxClockStep: // a step back counts against one forth
		g.before.Store(0)
	case g.kept():
		g.lead = 0
		g.before.Store(0)
	case g.before.Load() == 0:
		g.believed = believed
		g.before.Store(now.UnixMicro())
	}
}

// confirm ends a suspension: the wall clock is right.
func (g *clockGuard) confirm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lead = 0
	g.before.Store(0)
}

// doubt returns what is to be recorded, and how far the clock is ahead; nil when it
// is believed.
func (g *clockGuard) doubt() (*queue.Doubt, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.before.Load()
	if before == 0 {
		return nil, 0
	}
	return &queue.Doubt{Since: time.UnixMicro(before), Believed: g.believed}, g.lead
}

// suspends reports a message that may not expire now.
func (g *clockGuard) suspends(arrivedMicro int64) bool {
	before := g.before.Load()
	return before != 0 && arrivedMicro < before
}

// kernelKeepsTime asks the kernel whether a time service keeps its clock
// (adjtimex(2): a clock that was set by hand is unsynchronised).
func kernelKeepsTime() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR
}

// What the event log is told.
var (
	errClock      = errors.New("the clock is not believed, so no message that waits expires")
	errClockAgain = errors.New("the clock is believed again")
)

// startClock takes the clock when the queue is open.
func (e *Engine) startClock() error {
	doubt, err := e.queue.Doubted()
	if err != nil {
		return err
	}
	e.opened = e.o.Clock()
	e.clock.kept = e.o.ClockKept
	e.clock.begin(e.opened, e.queue.LastTime(), doubt)
	return e.noteClock(doubt != nil)
}

// watchClock is called about once a second.
func (e *Engine) watchClock() {
	was := e.ExpirySuspended()
	now := e.o.Clock()
	e.clock.look(now, now.Sub(e.opened))
	if err := e.noteClock(was); err != nil {
		e.o.Log.Store("clock", err)
	}
}

// noteClock records and tells what has changed; was says what is recorded.
func (e *Engine) noteClock(was bool) error {
	doubt, lead := e.clock.doubt()
	switch {
	case doubt != nil && !was:
		err := fmt.Errorf("%w: by it %v have passed that nothing else tells of", errClock, lead.Round(time.Second))
		e.o.Log.Store("clock", err)
		if e.o.Observe != nil {
			e.o.Observe.ClockDoubted(err)
		}
		return e.queue.SetDoubt(*doubt)
	case doubt == nil && was:
		e.o.Log.Store("clock", errClockAgain)
		return e.queue.NoDoubt()
	}
	return nil
}

// ExpirySuspended reports that the wall clock has leapt ahead and was not confirmed:
// messages that waited then do not expire.
func (e *Engine) ExpirySuspended() bool { return e.clock.before.Load() != 0 }

// ConfirmClock says that the wall clock is right, for an operator: what is too old
// by it expires. It reports whether that was in doubt.
func (e *Engine) ConfirmClock() (bool, error) {
	was := e.ExpirySuspended()
	e.clock.confirm()
	return was, e.noteClock(was)
}

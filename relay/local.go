package relay

import (
	"context"
	"sync"

	"postrider/internal/mail"
	"postrider/internal/metrics"
	"postrider/relay/resolve"
)

// Local is the delivery agent of this system's mailboxes. It carries HopLocal; each
// call of Serve has one delivery at a time, and there are many side by side.
//
// It keeps, for each recipient of a message that it has filed, a key by which a repeat
// of that delivery is known, until Forget: the queue may lease a recipient again whose
// end was not on the disk when the system crashed.
type Local interface {
	Transport
	resolve.Mailboxes
	// Direct files a message for all of d.Recipients at once and returns when that is
	// durable. With whole it is filed for all or for none, else each recipient has its
	// outcome. False says that nothing is certain: the message goes to the queue by
	// the same id, and what was filed nevertheless is known again there.
	Direct(ctx context.Context, d *mail.Delivery, whole bool) bool
	// Forget drops the keys of messages that have ended for good.
	Forget(ids ...mail.ID)
	// Remembered calls yield for each message that has keys, until it returns an
	// error. A message may come more than once.
	Remembered(yield func(id mail.ID) error) error
}

const (
	laneLocal = "local" // mail.Hop.String of HopLocal
	// localWorkers is how many deliveries to mailboxes are under way at most: they wait
	// for the same sync, so more of them at once cost no more of it.
	localWorkers = 64
)

// agents is what the engine keeps about the keys of the delivery agent.
type agents struct {
	site *metrics.Site // counts what goes the direct way

	mu    sync.Mutex           // guards following
	keys  map[mail.ID]struct{} // messages of the queue that have keys
	ended []mail.ID            // whose keys go when the log is safe
	kept  int                  // who wants keys to stay for now
}

// keyed notes that the agent was given recipients of a message of the queue.
func (a *agents) keyed(id mail.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys == nil {
		a.keys = make(map[mail.ID]struct{})
	}
	a.keys[id] = struct{}{}
}

// end is told by the queue of a message whose end is durable.
func (a *agents) end(id mail.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.keys[id]; ok {
		delete(a.keys, id)
		a.ended = append(a.ended, id)
	}
}

// filed notes a message that went the direct way, or of which nothing came.
func (a *agents) filed(id mail.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = append(a.ended, id)
}

// takeEnded returns the messages whose keys can go when the events up to now are safe.
func (a *agents) takeEnded() []mail.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept > 0 {
		return nil
	}
	ended := a.ended
	a.ended = nil
	return ended
}

func (a *agents) keep(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept += n
}

// KeepKeys keeps the agent from forgetting until the function that it returns is
// called. Who copies the queue and then the mailboxes needs that: the one copy may have
// a message as waiting that the other has as filed, and knows by its key alone.
func (e *Engine) KeepKeys() (release func()) {
	e.agents.keep(1)
	return func() { e.agents.keep(-1) }
}

// giveBack undoes takeEnded.
func (a *agents) giveBack(ended []mail.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = append(ended, a.ended...)
}

// recall finds the messages of earlier runs of which the agent has keys: those that
// are in the queue keep them until they end, and the others have ended in the moments
// before a crash.
func (e *Engine) recall() {
	err := e.o.Local.Remembered(func(id mail.ID) error {
		if e.queue.Issued(id) {
			return e.pull.Err() // it may be on its way
		}
		e.agents.keyed(id) // before it is looked up, since it may end at any time
		has, err := e.queue.Has(e.pull, id)
		if err == nil && !has {
			e.agents.end(id)
		}
		return err
	})
	if err != nil && e.pull.Err() == nil {
		e.o.Log.Store("mailboxes", err)
	}
}

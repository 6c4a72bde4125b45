package directory

import (
	"bytes"
	"time"

	"postrider/internal/mail"
	"postrider/relay/site"
)

// askLocked queues a look-up of e and sees to it that somebody does it.
func (d *Directory) askLocked(e *entry) {
	if e.asking || d.closed {
		return
	}
	if e.timer != nil {
		e.timer.Stop()
		e.timer, e.next = nil, time.Time{}
	}
	e.asking = true
	d.pending = append(d.pending, e)
	if d.workers < d.o.Lookups {
		d.workers++
		d.running.Add(1)
		go d.work()
	}
}

// work looks pending domains up until there are none.
func (d *Directory) work() {
	defer d.running.Done()
	for {
		d.mu.Lock()
		if len(d.pending) == 0 {
			d.workers--
			d.mu.Unlock()
			return
		}
		e := d.pending[0]
		d.pending[0] = nil
		d.pending = d.pending[1:]
		forgets := d.forgets
		d.mu.Unlock()
		d.lookUp(e, forgets)
	}
}

func (d *Directory) lookUp(e *entry, forgets int) {
	began := time.Now()
	s, st := d.o.Lookup(d.ctx, e.domain)
	if d.ctx.Err() != nil {
		return // cut off: that says nothing of the domain
	}
	st.Text = bytes.Clone(st.Text)
	if d.o.Observe != nil {
		d.o.Observe(e.domain, st, time.Since(began))
	}
	if d.learn(e, forgets, s, st) && d.o.Changed != nil {
		d.o.Changed(e.domain)
	}
}

// learn takes the result of a look-up that began after so many calls of Forget; true
// when the answer is another now.
func (d *Directory) learn(e *entry, forgets int, s site.Site, st mail.Status) (changed bool) {
	now := d.o.Clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	e.asking = false
	if forgets != d.forgets {
		d.askLocked(e) // what it depends on has changed meanwhile
		return false
	}
	switch {
	case st.IsZero():
		changed = e.site == nil || e.site.Key != s.Key
		found := &s
		d.sites[s.Key] = found
		e.site, e.status, e.failures = found, mail.Status{}, 0
		e.expires = s.Expires
		if !e.expires.After(now) {
			e.expires = now.Add(time.Second)
		}
		e.refresh = now.Add(time.Duration(refreshShare * float64(e.expires.Sub(now))))
	case st.Permanent():
		changed = true
		e.site, e.status, e.failures = nil, st, 0
		e.expires = now.Add(refusalLife)
	default:
		return d.failLocked(e, st, now)
	}
	if changed {
		e.since = now
	}
	return changed
}

// failLocked notes that DNS said nothing of e. An answer that still holds is kept.
func (d *Directory) failLocked(e *entry, st mail.Status, now time.Time) (changed bool) {
	e.failures++
	wait := d.wait(e.failures)
	if !e.expires.IsZero() && now.Before(e.expires) {
		e.refresh = now.Add(min(wait, e.expires.Sub(now)))
		return false
	}
	if e.status.IsZero() {
		e.since = now
	}
	e.site, e.status, e.expires = nil, st, time.Time{}
	e.next = now.Add(wait)
	if !d.closed {
		e.timer = time.AfterFunc(wait, func() { d.again(e) })
	}
	return true
}

// again looks e up when its wait is over, unless nobody wants it any more.
func (d *Directory) again(e *entry) {
	wanted := d.o.Wanted == nil || d.o.Wanted(e.domain)
	d.mu.Lock()
	defer d.mu.Unlock()
	e.timer, e.next = nil, time.Time{}
	if !wanted && !e.asking {
		if d.entries[e.domain] == e {
			delete(d.entries, e.domain)
		}
		return
	}
	d.askLocked(e)
}

// wait is how long to wait after the n-th failure in a row: 1, 5, 15, 30 minutes,
// a quarter more or less, so that an outage of DNS ends without a wave.
func (d *Directory) wait(n int) time.Duration {
	w := longestWait
	switch n {
	case 1:
		w = firstWait
	case 2:
		w = 5 * time.Minute
	case 3:
		w = 15 * time.Minute
	}
	return time.Duration(float64(w) * (0.75 + 0.5*d.o.Random()))
}

// Package directory knows which site each recipient domain belongs to now.
//
// A domain that nobody has asked for yet is looked up in the background; until
// there is an answer its mail waits, without an attempt and without a write. The
// answer is a site, a refusal for good (no such domain, null MX, a loop), or the
// reason why DNS did not say: then the domain is asked for again, later and later,
// while others go on. Only domains are remembered here, however much mail waits
// for them.
//
// # Guarantees
//
// Find never waits. Changed is called after each change of what Find says, so
// that whoever has bound mail by an answer binds it anew. A site is used until its
// records run out; shortly before, those in use are looked up again, so that a
// domain with steady mail never waits for DNS; Refresh does that for those whose mail
// does not leave. A failed look-up of a domain whose
// site is known and has run out leaves no old answer: mail goes where DNS says.
//
// # Concurrency
//
// A Directory is safe for concurrent use. It owns its look-ups, at most
// Options.Lookups at a time; Close ends them and waits.
package directory

import (
	"context"
	"sync"
	"time"

	"postrider/internal/mail"
	"postrider/relay/site"
)

// Options configure a Directory.
type Options struct {
	// Lookup finds the site of a domain. A zero Status says that there is one, a
	// permanent one that there will be none, any other that it is not known now.
	Lookup func(ctx context.Context, domain string) (site.Site, mail.Status)
	// Changed is told of a domain whose answer has changed, and of each look-up that
	// failed for one that has no answer. No lock is held.
	Changed func(domain string)
	// Wanted reports whether mail waits for a domain: one that is not wanted is
	// not asked for again. nil: all are.
	Wanted func(domain string) bool
	// Observe, when not nil, is told how each look-up went.
	Observe func(domain string, st mail.Status, took time.Duration)

	Lookups int              // at the same time; 0: 64
	Clock   func() time.Time // nil: time.Now
	Random  func() float64   // in [0, 1), for spreading retries; nil: no spread
}

const (
	// The waits between look-ups of a domain that DNS says nothing of. The first
	// is short, since a look-up costs a packet or two.
	firstWait   = time.Minute
	longestWait = 30 * time.Minute

	// refusalLife is how long a refusal stands before the domain is looked up anew.
	refusalLife = 5 * time.Minute
	// refreshShare of a site's life may pass before it is looked up again while in
	// use.
	refreshShare = 0.8
	// mostIdle domains are remembered beyond those whose answer stands.
	mostIdle = 1 << 16
)

// Answer is what is known of a domain.
type Answer struct {
	Site   *site.Site  // where its mail goes; nil: not there yet, or never
	Status mail.Status // without a site: permanent, or why DNS did not say; zero: being looked up for the first time
	Since  time.Time   // when that came to be
	Next   time.Time   // without a site: when it is looked up again; zero: now
	Failed int         // look-ups in a row that DNS did not answer
}

// entry is one domain. Directory.mu guards it.
type entry struct {
	domain   string
	site     *site.Site
	status   mail.Status
	since    time.Time
	refresh  time.Time // of a site: look it up again when it is used after that
	expires  time.Time // of a site or a refusal
	failures int       // in a row
	asking   bool      // a look-up is due or under way
	timer    *time.Timer
	next     time.Time // when timer fires
}

// Directory remembers domains.
type Directory struct {
	o       Options
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // guards following
	entries map[string]*entry
	sites   map[string]*site.Site // by key; the latest, whoever's look-up brought it
	pending []*entry              // to be looked up, first come first served
	workers int
	swept   int // entries after the last sweep
	forgets int // calls of Forget
	closed  bool
}

// New returns an empty Directory. Of ctx the values are used, not its end: Close
// ends it.
func New(ctx context.Context, o Options) *Directory {
	if o.Lookups <= 0 {
		o.Lookups = 64
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Random == nil {
		o.Random = func() float64 { return 0.5 }
	}
	d := &Directory{o: o, entries: make(map[string]*entry), sites: make(map[string]*site.Site)}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return d
}

// Close ends the look-ups under way and waits for them. Find goes on answering
// what is known.
func (d *Directory) Close() {
	d.mu.Lock()
	d.closed = true
	d.pending = nil
	for _, e := range d.entries {
		if e.timer != nil {
			e.timer.Stop()
		}
	}
	d.mu.Unlock()
	d.cancel()
	d.running.Wait()
}

// Find says what is known of a domain, which is in lower case, and has it looked
// up when that is nothing, or no longer true.
func (d *Directory) Find(domain []byte) Answer {
	now := d.o.Clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entries[string(domain)]
	if e == nil {
		d.sweepLocked(now)
		e = &entry{domain: string(domain), since: now}
		d.entries[e.domain] = e
	}
	d.checkLocked(e, now)
	return e.answer()
}

func (e *entry) answer() Answer {
	return Answer{Site: e.site, Status: e.status, Since: e.since, Next: e.next, Failed: e.failures}
}

// checkLocked drops an answer that has run out, and sees to it that an entry
// without one, or with one that will soon run out, is being looked up.
func (d *Directory) checkLocked(e *entry, now time.Time) (changed bool) {
	if !e.expires.IsZero() && !now.Before(e.expires) {
		e.site, e.status, e.expires, e.since = nil, mail.Status{}, time.Time{}, now
		changed = true
	}
	known := !e.expires.IsZero()
	if !known && e.timer == nil || known && e.site != nil && !now.Before(e.refresh) {
		d.askLocked(e)
	}
	return changed
}

// Fresh reports that what Find has said of a domain still holds. It is asked for
// each message that leaves: when it says no, the answer has run out, is being
// looked up, and mail that was bound by it must be bound anew.
func (d *Directory) Fresh(domain string) bool {
	now := d.o.Clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entries[domain]
	return e != nil && !d.checkLocked(e, now) && !e.expires.IsZero()
}

// Site returns the latest site of a key, nil when it was never found.
func (d *Directory) Site(key string) *site.Site {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sites[key]
}

// Domains returns how many domains are remembered, and how many of them have no
// answer.
func (d *Directory) Domains() (all, unknown int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		if e.expires.IsZero() {
			unknown++
		}
	}
	return len(d.entries), unknown
}

// Retry looks a domain up now that waits for its next look-up, for an operator.
func (d *Directory) Retry(domain string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[domain]; e != nil && e.expires.IsZero() {
		d.askLocked(e)
	}
}

// Refresh looks those domains up again whose answer has run out while mail waits for
// them: nobody asks for them as long as nothing of it leaves, and their exchangers may
// be others by now. Until there is a new answer the old one stands. It is to be called
// once a minute or so.
func (d *Directory) Refresh() {
	now := d.o.Clock()
	var over []*entry
	d.mu.Lock()
	for _, e := range d.entries {
		if !e.asking && !e.expires.IsZero() && !now.Before(e.expires) {
			over = append(over, e)
		}
	}
	d.mu.Unlock()
	for _, e := range over {
		if d.o.Wanted != nil && !d.o.Wanted(e.domain) {
			continue
		}
		d.mu.Lock()
		if d.entries[e.domain] == e && !e.expires.IsZero() {
			d.askLocked(e)
		}
		d.mu.Unlock()
	}
}

// Forget drops every answer, after a change of what look-ups depend on. The caller
// binds all mail anew.
func (d *Directory) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.o.Clock()
	d.forgets++
	for _, e := range d.entries {
		if !e.expires.IsZero() {
			e.expires = now
		}
	}
}

// sweepLocked forgets domains whose answer has run out, when there are many.
func (d *Directory) sweepLocked(now time.Time) {
	if len(d.entries) < mostIdle+2*d.swept {
		return
	}
	for name, e := range d.entries {
		if !e.expires.IsZero() && now.After(e.expires) && !e.asking {
			delete(d.entries, name)
		}
	}
	d.swept = len(d.entries)
	used := make(map[string]*site.Site, len(d.sites))
	for _, e := range d.entries {
		if e.site != nil {
			used[e.site.Key] = d.sites[e.site.Key]
		}
	}
	d.sites = used
}

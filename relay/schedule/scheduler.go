package schedule

import (
	"math/rand/v2"
	"sync"
	"time"

	"postrider/internal/limit"
)

// Options bound a scheduler.
type Options struct {
	Connections     int            // of all lanes together; 0: 1000
	LaneConnections int            // of a lane whose caps say nothing; 0: 20
	NewShare        float64        // of the connections, kept for sites that have none; 0: a tenth
	PerConnection   int            // ready recipients for which a connection is opened; 0: 4
	Random          func() float64 // in [0, 1); nil: math/rand
}

// Key names a lane.
type Key struct {
	Source   string // name of the source; "": the default
	Site     string
	Provider string // "": the site belongs to none
}

// Caps are an operator's bounds; 0 in any of them: none.
type Caps struct {
	Connections              int
	ConnectsPerSecond        float64
	MessagesPerSecond        float64
	MessagesPerConnection    int // for the engine: the scheduler does not look at it
	RecipientsPerTransaction int // likewise
}

// Scheduler holds the gates of all lanes.
type Scheduler struct {
	o Options

	mu        sync.Mutex // guards following, and all lanes, sites and groups
	start     time.Time
	last      instant
	shift     instant
	wall      time.Time // of the last call, as the caller had it
	lanes     map[Key]*Lane
	sites     map[string]*site
	providers map[string]*group
	sources   map[string]*group
	pairs     map[pairKey]*pair
	learned   map[learnedKey]learned
	waited    [NumGates]time.Duration

	used    int // connections
	leaving int // of those: were told to end
	unsure  int // of those: of sites that are slow, or not known to be quick
	quick   siteHeap
	slow    siteHeap
	turn    uint64 // of the sites that wait
}

// group is what the lanes of one source or one provider share.
type group struct {
	caps
	conns   int
	waiting laneList
}

// caps are bounds with their buckets.
type caps struct {
	most        int // connections; 0: no bound
	connectRate limit.Rate
	messageRate limit.Rate
	connects    limit.Bucket
	messages    limit.Bucket
	promised    time.Time // by when the last of those that wait for a message's token will have it
}

func (c *caps) set(n Caps) {
	c.most = n.Connections
	c.connectRate = limit.PerSecond(n.ConnectsPerSecond, int(n.ConnectsPerSecond))
	c.messageRate = limit.PerSecond(n.MessagesPerSecond, int(n.MessagesPerSecond))
}

// New returns a scheduler without lanes.
func New(o Options) *Scheduler {
	if o.Connections <= 0 {
		o.Connections = 1000
	}
	if o.LaneConnections <= 0 {
		o.LaneConnections = 20
	}
	if o.NewShare <= 0 || o.NewShare >= 1 {
		o.NewShare = 0.1
	}
	if o.PerConnection <= 0 {
		o.PerConnection = 4
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &Scheduler{
		o: o, lanes: map[Key]*Lane{}, sites: map[string]*site{}, providers: map[string]*group{},
		sources: map[string]*group{}, pairs: map[pairKey]*pair{}, learned: map[learnedKey]learned{},
	}
}

// Provider sets the bounds of a provider's sites together.
func (s *Scheduler) Provider(name string, c Caps) {
	s.mu.Lock()
	defer s.mu.Unlock()
	groupOf(s.providers, name).set(c)
}

// Source sets the bounds of a source's lanes together.
func (s *Scheduler) Source(name string, c Caps) {
	s.mu.Lock()
	defer s.mu.Unlock()
	groupOf(s.sources, name).set(c)
}

func groupOf(m map[string]*group, name string) *group {
	g := m[name]
	if g == nil {
		g = &group{}
		m[name] = g
	}
	return g
}

// Lane returns the lane of a key, which is made on first use; its bounds become c.
func (s *Scheduler) Lane(k Key, c Caps) *Lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[k]
	if l == nil {
		l = &Lane{s: s, key: k, source: groupOf(s.sources, k.Source)}
		if k.Provider != "" {
			l.provider = groupOf(s.providers, k.Provider)
			l.pair = s.pairLocked(k)
		}
		l.site = s.siteLocked(k.Site)
		l.site.lanes++
		s.lanes[k] = l
		l.set(c)
		l.window.Open(s.mostLocked(c), 0, 0)
		s.recallLocked(l)
	}
	l.set(c)
	l.window.Bound(s.mostLocked(c))
	return l
}

func (s *Scheduler) mostLocked(c Caps) int {
	if c.Connections > 0 {
		return c.Connections
	}
	return s.o.LaneConnections
}

// Forget drops a lane that its owner uses no more and that has no connection; what
// its window learned stays. It reports whether it did.
func (s *Scheduler) Forget(l *Lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.conns > 0 || s.lanes[l.key] != l {
		return false
	}
	l.unlistLocked()
	l.gateLocked(s.last, GateNone, 0)
	s.keepLocked(l)
	delete(s.lanes, l.key)
	if l.site.lanes--; l.site.lanes == 0 {
		delete(s.sites, l.key.Site)
	}
	return true
}

// Connections returns how many are open, and how many there may be.
func (s *Scheduler) Connections() (open, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.o.Connections
}

package queue

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// Options configure a queue. Only Dir and Bind have no useful zero value.
type Options struct {
	// FS holds everything the queue writes. nil: vfs.Default.
	FS vfs.FS
	// Dir is the queue's folder; it is made when it is missing.
	Dir string
	// Node tells the ids of several machines apart.
	Node uint16
	// Clock tells the time. nil: time.Now.
	Clock func() time.Time
	// SegmentBytes is the size of a hot segment. 0: 64 MiB.
	SegmentBytes int64
	// Segments is the number of hot segments. 0: 8.
	Segments int
	// LargeBytes: a body above it is a file of its own. 0: 256 KiB.
	LargeBytes int
	// ColdBytes is the size of a cold segment. 0: 64 MiB.
	ColdBytes int64
	// MemoryBytes bounds the bodies kept in memory. 0: 64 MiB.
	MemoryBytes int64
	// HotMessages bounds the messages that have outlived their first attempt
	// and live in the hot spool only; above it they are moved although there
	// is room. 0: 10,000.
	HotMessages int
	// ReserveBytes of disk are kept free. 0: the smaller of 256 MiB and 2 %, and
	// what the hot spool and the rows may still write; at most a quarter.
	ReserveBytes int64
	// DiskFree tells the free bytes and inodes. nil: those of Dir.
	DiskFree func() (freeBytes, freeInodes uint64, err error)
	// MaxInterval is the longest retry interval: at start no recipient is due
	// later than that from now. 0: 4 h.
	MaxInterval time.Duration
	// Place, when not nil, says where recipient rcpt of a message waits. It is called
	// at accept, and at Open for what is in the hot spool, from several goroutines.
	// What it puts into p is copied when it has returned.
	Place func(env *mail.Envelope, rcpt int, p *Placement)
	// Bind returns the key of the lane that a recipient domain (lower-cased,
	// may be empty) takes by the way that Place has named. It is called at accept,
	// while loading and by Rebind, from several goroutines. The slices are valid
	// during the call.
	Bind func(domain, via []byte) string
	// Reroute, when not nil, returns the way that a recipient takes after so many
	// attempts, which may be the one that it has. It is called when a recipient is
	// deferred and while loading. The slices are valid during the call.
	Reroute func(domain, via []byte, attempts int) []byte
	// Order, when not nil, makes the order of a lane as that is made; nil for one
	// whose buckets take turns. It is called under the queue's lock and must not call
	// the queue.
	Order func(laneKey string) Order
	// OnReady, when not nil, is called when a lane got ready jobs and no
	// waiter was there to take them. Never under a lock; it must not block.
	OnReady func(l *Lane)
	// Durable, when not nil, is called for each message between its sync and its
	// first lease, so that the log line of its acceptance stands before those of
	// its deliveries. It runs on the spool's goroutine and must be quick; env is
	// valid during the call.
	Durable func(env *mail.Envelope)
	// Ended, when not nil, is called when the end of a message's last recipient is
	// synced. It runs on the spool's goroutine and must be quick. Of what ended shortly
	// before a crash it may never be called: Has tells then.
	Ended func(id mail.ID)
	// Replayed, when not nil, is called during Open for each event that the
	// event log may miss. e is valid during the call.
	Replayed func(e Event)
	// Salvage opens a damaged store: what cannot be read is quarantined and
	// the messages it touches are held.
	Salvage bool
	// Fatal, when not nil, is called once, when a write or a sync failed:
	// everything returns ErrClosed from then on and the program must exit.
	Fatal func(error)
	// Metrics, when not nil, is told of what only the queue sees.
	Metrics *Metrics
}

// Metrics are hooks for measuring; each may be nil and must be quick.
type Metrics struct {
	// Group is called for each synced group of the spool.
	Group func(records, bytes int, write, sync time.Duration)
	// Alarm is called for what an operator must see: slow disk, damage, a
	// refused write. It is rate-limited by the caller of the log, not here.
	Alarm func(kind string, err error)
}

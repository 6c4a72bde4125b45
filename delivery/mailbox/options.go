package mailbox

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configure a store. Only Dir has no useful zero value.
type Options struct {
	// FS holds everything the store writes. nil: vfs.Default.
	FS vfs.FS
	// Dir is the store's folder; it is made when it is missing.
	Dir string
	// SegmentBytes is the size of a segment of the log. 0: 64 MiB.
	SegmentBytes int64
	// LargeBytes: a text above it is a file of its own. 0: 256 KiB.
	LargeBytes int
	// ReserveBytes of disk are kept free; at half of it even changes that free
	// room are refused. 0: the smaller of 256 MiB and 2 % of the disk, and two
	// segments; at most a quarter of the disk. Negative: none.
	ReserveBytes int64
	// DiskFree tells the free bytes. nil: those of Dir.
	DiskFree func() (freeBytes uint64, err error)
	// CacheBytes is the size of the index's block cache. What a list of messages shows
	// takes some 700 bytes of it a message: whole mailboxes are gone through 1.5 times
	// as fast when they are in it. 0: 128 MiB.
	CacheBytes int64
	// MemTableBytes is how much of the index is kept in memory before it is
	// written: after a crash so much is read from the log again. 0: 32 MiB.
	MemTableBytes int
	// ListBytes is how much memory may hold the lists of large mailboxes that nobody
	// has open now, for who opens them again: 16 bytes a message. 0: 32 MiB; negative:
	// none.
	ListBytes int
	// Accounts is how many recently used accounts stay in memory. 0: 4096.
	Accounts int
	// Vanished is how many expunges a mailbox remembers at least, for clients
	// that come back (RFC 7162). 0: 2000.
	Vanished int
	// CompactEvery is the pause between two looks for segments to give back. 0: 15 s;
	// negative: only Compact does it.
	CompactEvery time.Duration
	// Clock tells the time. nil: time.Now.
	Clock func() time.Time
	// Salvage opens a damaged store: its index is made anew of what can be read of the
	// log, what cannot is set aside, and every mailbox gets another UIDVALIDITY.
	Salvage bool
	// Fatal, when not nil, is called once, when a write or a sync failed:
	// everything returns ErrClosed from then on and the program must exit.
	Fatal func(error)
	// Metrics, when not nil, is told of what only the store sees.
	Metrics *Metrics
}

// Metrics are hooks for measuring; each may be nil and must be quick.
type Metrics struct {
	// Group is called for each synced group of the log.
	Group func(records, bytes int, write, sync time.Duration)
	// Alarm is called for what an operator must see: slow disk, damage, a
	// refused write.
	Alarm func(kind string, err error)
}

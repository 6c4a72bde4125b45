// Package spool is the log in which the queue's truth is kept.
package spool

import (
	"cmp"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
)

// Errors of the spool; those of Open and of a Write wrap them.
var (
	ErrLocked   = errors.New("spool is in use by another process")
	ErrDamaged  = errors.New("spool is damaged")
	ErrVersion  = errors.New("spool was written by newer software")
	ErrFull     = errors.New("spool is full")
	ErrClosed   = errors.New("spool is closed")
	ErrTooLarge = errors.New("record is larger than a segment")
)

// Options configure a spool.
type Options struct {
	FS                 vfs.FS
	Dir                string
	SegmentBytes       int64            // 0: 64 MiB
	Segments           int              // 0: 8
	Node               uint16           // part of the ids
	Clock              func() time.Time // nil: time.Now
	LazyDelay          time.Duration    // 0: 5 ms
	GroupRecords       int              // 0: 256
	GroupBytes         int              // 0: 8 MiB
	OnGroup            func(GroupStats)
	Fatal              func(error)
	ReserveRecordBytes int64 // 0: two segments
	Salvage            bool
}

// GroupStats describe one synced group.
type GroupStats struct {
	Records     int
	Bytes       int
	Write, Sync time.Duration
}

// LSN is a place in the log.
type LSN struct {
	Gen uint64
	Off int64
}

// Compare orders places.
func (l LSN) Compare(m LSN) int {
	if c := cmp.Compare(l.Gen, m.Gen); c != 0 {
		return c
	}
	return cmp.Compare(l.Off, m.Off)
}

// Recovered is one record handed to the replay function of Open.
type Recovered struct {
	LSN, End    LSN
	Kind        record.Kind
	ID          mail.ID
	Payload     []byte // head and body; valid during the call
	BodyAt      int64  // offset of the body in the generation; Payload[len(Payload)-BodyLen:] is the body
	BodyLen     int
	BodyCRC     uint32 // record.Sum of the body
	AfterLogged bool   // lies behind the last SetLogged that was recorded
}

// Recovery says what Open found.
type Recovery struct {
	Clean bool   // the last owner closed the spool
	Boots uint64 // how often it was opened, this time included
	Gaps  []Gap  // with Options.Salvage: what could not be read
}

// Gap is a part of the log that could not be read.
type Gap struct {
	Gen      uint64
	From, To int64     // offsets
	IDs      []mail.ID // of the records in it, as far as they are known
}

// Write is a record on its way to the log.
type Write struct {
	Kind       record.Kind
	ID         mail.ID
	Head, Body []byte
	BodyCRC    uint32 // record.Sum(Body), when BodySummed; else Append computes it
	BodySummed bool
	Lazy       bool
	Committer  Committer
	LSN, End   LSN   // set before Committed
	BodyAt     int64 // set before Committed: offset of Body within generation LSN.Gen
	Err        error

	next *Write
}

// Committer is told when a Write is durable or has failed.
type Committer interface {
	Committed(w *Write)
}

// Spool is an open log.
type Spool struct{}

// Open opens the log.
func Open(o Options, replay func(*Recovered) error) (*Spool, error) { return nil, ErrClosed }

// Recovery returns what Open found.
func (s *Spool) Recovery() Recovery { return Recovery{} }

// NextID returns a new id.
func (s *Spool) NextID() mail.ID { return mail.ID{} }

// Incarnation is the random part of this opening's ids.
func (s *Spool) Incarnation() uint32 { return 0 }

// MaxRecord is the largest Head+Body that fits.
func (s *Spool) MaxRecord() int64 { return 0 }

// Append hands w to the commit goroutine.
func (s *Spool) Append(w *Write) {}

// ReadAt reads from a generation.
func (s *Spool) ReadAt(p []byte, gen uint64, off int64) (int, error) { return 0, ErrClosed }

// Pin keeps a generation from being reused.
func (s *Spool) Pin(gen uint64) bool { return false }

// Unpin takes back a Pin.
func (s *Spool) Unpin(gen uint64) {}

// Low is the lowest generation kept.
func (s *Spool) Low() uint64 { return 0 }

// Current is the generation being written.
func (s *Spool) Current() uint64 { return 0 }

// Synced is the end of what is durable.
func (s *Spool) Synced() LSN { return LSN{} }

// Usage counts segments.
func (s *Spool) Usage() (free, total int) { return 0, 0 }

// Advance releases generations below low.
func (s *Spool) Advance(low uint64) {}

// SetLogged says that events up to l are in the event log.
func (s *Spool) SetLogged(l LSN) {}

// Close ends the spool.
func (s *Spool) Close() error { return nil }

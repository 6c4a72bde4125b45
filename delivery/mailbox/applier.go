package mailbox

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/record"
	"postrider/internal/spool"
)

const (
	// batchOps and batchBytes bound what is applied at once.
	batchOps   = 256
	batchBytes = 1 << 20
)

// applier brings the records of the log, in their order, into the index and the
// state in memory. It is one goroutine, and during Open the goroutine that opens.
type applier struct {
	s    *Store
	wake chan struct{} // one place
	done chan struct{} // closed when run has ended

	mu sync.Mutex
	// guards following
	first, last *op
	asleep      bool
	closing     bool
	ended       bool // nobody takes ops any more

	// The applier's own:
	applied  spool.LSN // all before it is in the index
	pending  spool.LSN // and in batch
	batch    *pebble.Batch
	ready    []*op // in batch, or failed
	replays  bool  // during Open
	rebuilds bool  // the index is made from nothing: a copy may be all there is
	named    bool  // and all accounts that are to be are there
	accounts []*Account
	boxes    []*Mailbox
	fresh    map[uint32]*Account // made by the batch
	blobs    map[uint64]*blobState
	live     map[uint64]int64 // change of live bytes by generation
	unlink   []uint64         // large texts that nobody needs once the batch is in
	reap     []record.Box     // deleted, and still to be emptied
	turns    int

	reader record.Reader
	part   record.Part
	keyBuf []byte
	valBuf []byte
}

func (ap *applier) init(s *Store) {
	ap.s = s
	ap.wake, ap.done = make(chan struct{}, 1), make(chan struct{})
	ap.fresh = make(map[uint32]*Account)
	ap.blobs = make(map[uint64]*blobState)
	ap.live = make(map[uint64]int64)
}

func (ap *applier) start() { go ap.run() }

// put hands over an op that was committed or has failed.
func (ap *applier) put(o *op) {
	ap.mu.Lock()
	if ap.ended {
		ap.mu.Unlock()
		ap.refuse(o)
		return
	}
	o.next = nil
	if ap.last == nil {
		ap.first = o
	} else {
		ap.last.next = o
	}
	ap.last = o
	ap.wakeLocked()
}

// wakeLocked wakes the applier and releases mu.
func (ap *applier) wakeLocked() {
	wake := ap.asleep
	ap.asleep = false
	ap.mu.Unlock()
	if wake {
		select {
		case ap.wake <- struct{}{}:
		default:
		}
	}
}

// stop ends the applier after all that was put.
func (ap *applier) stop() {
	ap.mu.Lock()
	ap.closing = true
	ap.wakeLocked()
	<-ap.done
}

// take returns the ops that wait; nil and false at the end. With idle it does not
// wait.
func (ap *applier) take(idle bool) (o *op, more bool) {
	for {
		ap.mu.Lock()
		if o = ap.first; o != nil {
			ap.first, ap.last = nil, nil
			ap.mu.Unlock()
			return o, true
		}
		if ap.closing {
			ap.ended = true
			ap.mu.Unlock()
			return nil, false
		}
		if idle {
			ap.mu.Unlock()
			return nil, true
		}
		ap.asleep = true
		ap.mu.Unlock()
		<-ap.wake
	}
}

// run is the applier's goroutine. If Pebble ends it (see indexLog), another refuses
// what comes.
func (ap *applier) run() {
	normal := false
	defer func() {
		if normal {
			close(ap.done)
			return
		}
		ap.s.fail(errIndex)
		go ap.refuseAll()
	}()
	for {
		o, more := ap.take(len(ap.reap) > 0)
		if !more {
			break
		}
		for o != nil {
			next := o.next
			o.next = nil
			ap.one(o)
			o = next
		}
		ap.settle()
		ap.reapSome(len(ap.ready) == 0)
	}
	normal = true
}

// refuseAll ends what is there and what comes, until the store is closed.
func (ap *applier) refuseAll() {
	defer close(ap.done)
	for _, o := range ap.ready {
		ap.refuse(o)
	}
	ap.ready = nil
	for {
		o, more := ap.take(false)
		if !more {
			return
		}
		for o != nil {
			next := o.next
			ap.refuse(o)
			o = next
		}
	}
}

// refuse ends an op that is not applied.
func (ap *applier) refuse(o *op) {
	if o.err = o.result(); o.err == nil {
		o.err = ErrClosed
	}
	ap.release(o)
}

func (ap *applier) release(o *op) {
	if o.after != nil {
		o.after()
		return
	}
	o.done <- struct{}{}
}

// one brings in an op.
func (ap *applier) one(o *op) {
	if o.w.Err == nil && ap.s.dead.Load() {
		o.w.Err = ErrClosed
	}
	if o.err = o.result(); o.err != nil {
		ap.giveBack(o)
		ap.release(o)
		return
	}
	if o.local {
		ap.applyItems(o)
		return
	}
	if err := ap.record(o.w.Head, &place{gen: o.w.LSN.Gen, body: o.w.BodyAt, end: o.w.End, bodyLen: int64(len(o.w.Body))}); err != nil {
		ap.broken(err)
		o.w.Err = ErrClosed
		ap.refuse(o)
		return
	}
	if len(o.items) > 0 && ap.batch != nil {
		ap.check(ap.setItems(o))
	}
	for i, a := range o.accounts {
		a.ended.bytes += o.reserved[i].bytes
		a.ended.messages += o.reserved[i].messages
		ap.touch(a)
	}
	ap.ready = append(ap.ready, o)
	if len(ap.ready) >= batchOps || ap.batch.Len() >= batchBytes {
		ap.settle()
	}
}

// giveBack returns what a failed op has reserved.
func (ap *applier) giveBack(o *op) {
	for i, a := range o.accounts {
		a.mu.Lock()
		a.reserveLocked(reservation{-o.reserved[i].bytes, -o.reserved[i].messages})
		a.mu.Unlock()
	}
}

// broken ends the store: the index cannot be believed any more.
func (ap *applier) broken(err error) {
	ap.s.fail(fmt.Errorf("bring the log into the index: %w", err))
}

// check is for errors that only our own mistakes bring about, or a broken index.
func (ap *applier) check(err error) {
	if err != nil {
		ap.broken(err)
	}
}

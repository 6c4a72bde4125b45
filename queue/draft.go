package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/valyala/bytebufferpool"

	"postrider/internal/bufpool"
	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/queue/internal/cold"
	"postrider/queue/internal/record"
)

const (
	// draftBytes is the first buffer of a draft that announced no size.
	draftBytes = 8 << 10
	// maxHeadBytes is the most memory a pooled draft holds on to for heads.
	maxHeadBytes = 64 << 10
	// maxRecipients is what a slot's 16 bits can number.
	maxRecipients = 1 << 16
)

var (
	// ErrNoRecipients comes from Commit of a draft whose envelope names nobody, or
	// more than 65,536 recipients.
	ErrNoRecipients = errors.New("a message needs 1 to 65,536 recipients")
	// ErrLate comes from CommitBy when the disk had not taken the message by the
	// deadline.
	ErrLate = errors.New("not on disk in time")
)

// The states of a draft's commit.
const (
	draftOpen int32 = iota
	draftWaits
	draftCommitted
	draftAbandoned
)

// Draft is a message that is being received. It belongs to one goroutine, ends
// with Commit or Abort, and is then used again for another message.
type Draft struct {
	q        *Queue
	env      *mail.Envelope
	buf      *bytebufferpool.ByteBuffer // the text, or what is not written to file yet
	size     int64
	sum      uint32
	reserved int64    // bytes counted as announced
	held     int64    // bytes counted as memory
	file     vfs.File // when the text is larger than Options.LargeBytes
	large    bool
	notice   bool  // to be kept with a settlement
	err      error // the first error of Write
	head     []byte
	buckets  []uint32
	scratch  []byte
	place    Placement
	w        spool.Write
	state    atomic.Int32
	gone     atomic.Bool   // nobody waits: w is to be left out when it can be
	appended bool          // the spool has seen w
	done     chan struct{} // one token when w is committed or has failed
	timer    *time.Timer   // for the deadline of CommitBy
	text     body          // what Text has handed out
}

// NewDraft begins a message of which announcedBytes are expected (0: unknown).
// It returns an error that wraps ErrFull when the queue has no room, ErrClosed
// when it is closed.
func (q *Queue) NewDraft(announcedBytes int64) (*Draft, error) {
	if err := q.admit(announcedBytes); err != nil {
		return nil, err
	}
	return q.newDraft(announcedBytes), nil
}

func (q *Queue) newDraft(announcedBytes int64) *Draft {
	d, _ := q.drafts.Get().(*Draft)
	if d == nil {
		d = &Draft{q: q, done: make(chan struct{}, 1)}
	}
	d.reserved = max(announcedBytes, 0)
	q.announced.Add(d.reserved)
	d.env = q.newEnvelope()
	d.env.ID = q.sp.NextID()
	d.env.ArrivedMicro = q.o.Clock().UnixMicro()
	n := int64(draftBytes)
	if announcedBytes > 0 {
		n = min(announcedBytes+1024, int64(q.o.LargeBytes))
	}
	d.setBuffer(bufpool.Get(int(n)))
	return d
}

func (d *Draft) setBuffer(b *bytebufferpool.ByteBuffer) {
	n := int64(cap(b.B))
	d.q.mem.Add(n - d.held)
	d.held, d.buf = n, b
}

// Envelope returns the message's envelope, whose ID and ArrivedMicro are set.
// The caller fills in the rest before Commit, which sets SizeBytes.
func (d *Draft) Envelope() *mail.Envelope { return d.env }

// Size returns the bytes written so far.
func (d *Draft) Size() int64 { return d.size }

// Write appends to the text; p is copied. After an error, which wraps ErrFull
// when memory or disk is short, the draft can only be aborted.
func (d *Draft) Write(p []byte) (int, error) {
	if d.err == nil {
		d.err = d.write(p)
	}
	if d.err != nil {
		return 0, d.err
	}
	d.size += int64(len(p))
	if d.size > d.reserved {
		d.q.announced.Add(d.size - d.reserved)
		d.reserved = d.size
	}
	d.sum = record.UpdateSum(d.sum, p)
	return len(p), nil
}

func (d *Draft) write(p []byte) error {
	q := d.q
	if !d.large && d.size+int64(len(p)) <= int64(q.o.LargeBytes) {
		return d.fill(p)
	}
	if d.notice {
		return ErrTooLarge
	}
	if !d.large {
		if err := d.toFile(); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		n := min(len(p), cap(d.buf.B)-len(d.buf.B))
		d.buf.B = append(d.buf.B, p[:n]...)
		p = p[n:]
		if len(d.buf.B) == cap(d.buf.B) {
			if err := d.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill appends to the buffer, taking one of the next size class when it is full.
func (d *Draft) fill(p []byte) error {
	need := len(d.buf.B) + len(p)
	if need > cap(d.buf.B) {
		want := min(max(need, 2*cap(d.buf.B)), max(need, d.q.o.LargeBytes))
		if err := d.q.room(int64(want)); err != nil && !d.notice {
			return err
		}
		b := bufpool.Get(want)
		b.B = append(b.B, d.buf.B...)
		old := d.buf
		d.setBuffer(b)
		bufpool.Put(old)
	}
	d.buf.B = append(d.buf.B, p...)
	return nil
}

// toFile begins the file of a large message.
func (d *Draft) toFile() error {
	f, err := d.q.fs.Create(d.q.largePath(d.env.ID), "postrider-large")
	if err != nil {
		return fmt.Errorf("create file of a large message: %w", shortage(err))
	}
	d.file, d.large = f, true
	return d.flush()
}

func (d *Draft) flush() error {
	if len(d.buf.B) == 0 {
		return nil
	}
	if err := d.q.diskRoom(0); err != nil {
		return err
	}
	n, err := d.file.Write(d.buf.B)
	d.q.spent.Add(int64(n))
	d.buf.B = d.buf.B[:0]
	if err != nil {
		return fmt.Errorf("write file of a large message: %w", shortage(err))
	}
	return nil
}

// Commit is CommitBy without a deadline.
func (d *Draft) Commit(ctx context.Context) error { return d.CommitBy(ctx, time.Time{}) }

// CommitBy makes the message durable and leasable, and returns when it is, when ctx
// ends, or at the deadline (the zero time: none). With nil it will be kept until
// each recipient has ended; with an error nothing may be promised. A message whose
// write had not begun when the wait ended is left out; one whose write had begun
// may still become durable, and is then delivered. d and its envelope are invalid
// afterwards: copy the ID before.
func (d *Draft) CommitBy(ctx context.Context, deadline time.Time) error {
	q := d.q
	if err := d.prepare(); err != nil {
		d.Abort()
		return err
	}
	late := d.arm(deadline)
	d.state.Store(draftWaits)
	d.appended = true
	q.sp.Append(&d.w)
	var cause error
	select {
	case <-d.done:
	case <-ctx.Done():
		cause = ctx.Err()
	case <-late:
		cause = ErrLate
	}
	if late != nil {
		d.timer.Stop()
	}
	if cause != nil {
		d.gone.Store(true)
		if d.state.CompareAndSwap(draftWaits, draftAbandoned) {
			return fmt.Errorf("commit: %w", cause)
		}
		<-d.done
	}
	err := d.w.Err
	d.finish(err)
	return commitError(err)
}

// arm starts the timer for a deadline and returns its channel, which is nil for
// none. A draft keeps its timer, so that a message makes none.
func (d *Draft) arm(deadline time.Time) <-chan time.Time {
	if deadline.IsZero() {
		return nil
	}
	left := time.Until(deadline)
	if d.timer == nil {
		d.timer = time.NewTimer(left)
	} else {
		d.timer.Reset(left)
	}
	return d.timer.C
}

// commitError gives an error of the spool the queue's word.
func commitError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, spool.ErrFull), errors.Is(err, spool.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, spool.ErrClosed):
		return ErrClosed
	}
	return fmt.Errorf("commit: %w", err)
}

// prepare encodes the record and finds the recipients' buckets.
func (d *Draft) prepare() error {
	q, env := d.q, d.env
	if err := d.check(); err != nil {
		return err
	}
	var text []byte
	if !d.large {
		text = d.buf.B
	}
	ref := d.encode()
	if !d.large && int64(len(d.head)+len(text)) > q.maxRecord {
		// Many recipients, or small segments: the text goes to a file.
		if err := d.toFile(); err != nil {
			return err
		}
		text = nil
	}
	if d.large {
		if err := d.sealFile(); err != nil {
			return err
		}
		d.scratch = env.ID.AppendText(d.scratch[:0])
		ref.Large = d.scratch
		d.head = record.AppendMessageHead(d.head[:0], env, ref)
	}
	d.findBuckets()
	d.w = spool.Write{
		Kind: record.KindMessage, ID: env.ID, Head: d.head, Body: text,
		BodyCRC: d.sum, BodySummed: !d.large, Committer: d, Gone: &d.gone, Yields: true,
	}
	return nil
}

// check looks at what can be wrong with a draft that is to be kept.
func (d *Draft) check() error {
	if d.err != nil {
		return d.err
	}
	if n := len(d.env.Recipients); n == 0 || n > maxRecipients {
		return ErrNoRecipients
	}
	return nil
}

// encode encodes the head of a message whose text follows it.
func (d *Draft) encode() record.BodyRef {
	d.env.SizeBytes = d.size
	ref := record.BodyRef{Size: d.size, CRC: d.sum}
	d.head = record.AppendMessageHead(d.head[:0], d.env, ref)
	return ref
}

func (d *Draft) findBuckets() {
	for i := range d.env.Recipients {
		var n uint32
		n, d.scratch = d.q.useBucket(d.env, i, &d.place, d.scratch)
		d.buckets = append(d.buckets, n)
	}
	d.place = Placement{} // it may hold on to what Options.Place has put there
}

// shortage lets an error that tells of a full disk be an ErrFull, too.
func shortage(err error) error {
	if noRoom(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// sealFile makes the large file durable, and its name.
func (d *Draft) sealFile() error {
	if err := d.flush(); err != nil {
		return err
	}
	err := d.file.Sync()
	if cerr := d.file.Close(); err == nil {
		err = cerr
	}
	d.file = nil
	if err != nil {
		d.q.fail(fmt.Errorf("sync file of a large message: %w", err))
		return ErrClosed
	}
	if err := cold.SyncDir(d.q.fs, d.q.largeDir); err != nil {
		d.q.fail(err)
		return ErrClosed
	}
	return nil
}

// Committed implements spool.Committer: the record is synced, or never will be.
func (d *Draft) Committed(w *spool.Write) {
	if w.Err == nil {
		d.q.accept(d, w)
	}
	if d.state.CompareAndSwap(draftWaits, draftCommitted) {
		d.done <- struct{}{}
		return
	}
	// Nobody waits any more: clean up in the place of Commit.
	d.finish(w.Err)
}

// Abort gives the draft up; nothing remains of it.
func (d *Draft) Abort() { d.finish(ErrClosed) }

// finish releases what the draft holds. After a commit (err nil) the envelope
// and the text belong to the message's entry.
func (d *Draft) finish(err error) {
	q := d.q
	if d.file != nil {
		_ = d.file.Close() // it is removed below, whatever Close says
		d.file = nil
	}
	if err != nil {
		// After a failed sync the record may exist: then the file must, too. An
		// orphan that stays is swept at the next start.
		if d.large && (!d.appended || errors.Is(err, spool.ErrFull) || errors.Is(err, spool.ErrTooLarge) || errors.Is(err, spool.ErrGone)) {
			_ = q.fs.Remove(q.largePath(d.env.ID))
		}
		q.mu.Lock()
		for _, n := range d.buckets {
			q.bk.At(n).Uses--
		}
		q.mu.Unlock()
		q.putEnvelope(d.env)
	}
	if d.buf != nil {
		bufpool.Put(d.buf)
		q.mem.Add(-d.held)
	}
	q.announced.Add(-d.reserved)
	head := d.head[:0]
	if cap(head) > maxHeadBytes {
		head = nil
	}
	d.env, d.buf, d.w, d.text = nil, nil, spool.Write{}, body{}
	d.size, d.sum, d.reserved, d.held, d.large, d.err = 0, 0, 0, 0, false, nil
	d.appended, d.notice = false, false
	d.gone.Store(false)
	d.head, d.buckets = head, d.buckets[:0]
	d.state.Store(draftOpen)
	q.drafts.Put(d)
}

// accept makes a synced message leasable, which w has written, be it within another
// record. It runs on the spool's goroutine.
func (q *Queue) accept(d *Draft, w *spool.Write) {
	if q.o.Durable != nil {
		q.o.Durable(d.env)
	}
	now := q.o.Clock()
	at := q.ticks(now)
	q.mu.Lock()
	q.committed = w.End
	e := q.newEntryLocked(d.env.ID, d.env, w.LSN.Gen, w.BodyAt)
	e.size, e.crc, e.large, e.ready = d.size, d.sum, d.large, now
	if !d.large {
		q.keepLocked(e, d.buf)
		d.buf, d.held = nil, 0
	}
	q.messages++
	q.hotBytes += e.size
	var last *Lane
	for k, n := range d.buckets {
		b := q.bk.At(n)
		b.Uses--
		i := q.addSlotLocked(e, k, n)
		q.joinLocked(n)
		told, l := &q.acceptTold, q.dests[b.Dest].lane
		if l == last {
			told = nil // one job, one waiter
		}
		last = l
		q.scheduleLocked(i, Ready, at, told)
	}
	q.mu.Unlock()
	q.tell(&q.acceptTold)
}

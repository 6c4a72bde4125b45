package queue

import (
	"errors"
	"fmt"
)

// ErrTooLarge comes from a notice that does not fit into the record of a settlement,
// or from writing one.
var ErrTooLarge = errors.New("the notice is too large to be kept with a settlement")

// noticeSegments of the hot spool are left to plain settlements by notices.
const noticeSegments = 1

// NewNotice begins a message that comes into being with a settlement (SettleWith). It
// must stay below Options.LargeBytes. Other than a message it is not refused for want
// of memory or disk; the only error is ErrClosed.
func (q *Queue) NewNotice() (*Draft, error) {
	if q.dead.Load() {
		return nil, ErrClosed
	}
	d := q.newDraft(0)
	d.notice = true
	return d, nil
}

func (q *Queue) noticeRoom() error {
	if free, _ := q.sp.Usage(); free <= noticeSegments {
		return fmt.Errorf("%w: segments are short", ErrFull)
	}
	return nil
}

// SettleWith is Settle, and makes the notice that d holds a message of the queue, at
// the same instant: whatever happens, both are there or neither is. d is invalid
// afterwards. With an error nothing was settled and the lease stands: ErrTooLarge,
// ErrNoRecipients, or one that wraps ErrFull when the last segments of the spool are
// in use: the last is left to plain settlements. Nobody is told when the record is synced,
// but Options.Durable is called for the notice. d nil: no notice. When the results
// change nothing d is given up.
func (j *Job) SettleWith(results []Result, d *Draft) error {
	if d == nil {
		j.Settle(results)
		return nil
	}
	err := j.q.noticeRoom()
	if err == nil {
		err = d.FitsWith(results)
	}
	if err != nil {
		d.Abort()
		return err
	}
	d.findBuckets()
	j.settle(results, d)
	return nil
}

const (
	// settleHead and changeBytes bound what a settlement takes beside texts.
	settleHead  = 64
	changeBytes = 64
)

// FitsWith tells whether a notice is complete and small enough to be kept with results:
// the error is what SettleWith would give but for a lack of room. It encodes the
// notice's head.
func (d *Draft) FitsWith(results []Result) error {
	size := int64(settleHead)
	for k := range results {
		size += changeBytes + int64(len(results[k].Status.Text))
	}
	if err := d.check(); err != nil {
		return err
	}
	d.encode()
	if size+int64(len(d.head))+d.size > d.q.maxRecord {
		return ErrTooLarge
	}
	return nil
}

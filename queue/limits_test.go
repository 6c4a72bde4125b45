package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/invariants"
)

// settleAll leases everything that is ready and settles it.
func settleAll(t testing.TB, q *Queue, st State, due time.Time) int {
	t.Helper()
	n := 0
	for _, l := range q.Lanes() {
		for j := l.Next(t.Context(), 0, Lease{}, nil); j != nil; j = l.Next(t.Context(), 0, Lease{}, j) {
			n += len(j.Recipients)
			j.Settle(all(j, st, due))
		}
	}
	return n
}

// until waits for cond, which something in the background brings about.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// With a disk that takes 5 ms for a sync, 64 writers share syncs.
//
// Covers Q2.
func TestGroupCommitSharesSyncs(t *testing.T) {
	var groups, syncs atomic.Int64
	slow := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if (op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSync) && strings.Contains(op.Path, ".seg") {
			syncs.Add(1)
			<-time.After(5 * time.Millisecond)
		}
		return nil
	})
	q := open(t, errorfs.Wrap(vfs.NewMem(), slow), func(o *Options) {
		o.SegmentBytes, o.Metrics = 1<<20, &Metrics{Group: func(int, int, time.Duration, time.Duration) { groups.Add(1) }}
	})
	before := syncs.Load()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 10 {
				put(t, q, "text", "u@a.example")
			}
		})
	}
	wg.Wait()
	if n := syncs.Load() - before; n > 64 || groups.Load() == 0 {
		t.Errorf("%d syncs for 640 messages", n)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A text reaches the disk once, however many recipients and domains it has, and
// little else does.
//
// Covers Q3.
func TestTextIsWrittenOnce(t *testing.T) {
	var written atomic.Int64
	q := open(t, vfs.NewMem(), func(o *Options) {
		o.SegmentBytes, o.LargeBytes = 4<<20, 128<<10
		o.Metrics = &Metrics{Group: func(_, bytes int, _, _ time.Duration) { written.Add(int64(bytes)) }}
	})
	text := strings.Repeat("x", 64<<10)
	for range 20 {
		put(t, q, text, "u@a.example", "u@b.example", "u@c.example", "u@d.example", "u@e.example")
	}
	settleAll(t, q, Delivered, time.Time{})
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if ratio := float64(written.Load()) / float64(20*len(text)); ratio > 1.1 {
		t.Errorf("%.3f bytes written for a byte of text", ratio)
	}
}

// A disk that is short of bytes or inodes refuses mail at once, announced bytes
// counted; delivery goes on; mail is taken again when room returns.
//
// Covers Q16, G6.
func TestDiskIsShort(t *testing.T) {
	var bytes, inodes atomic.Uint64
	bytes.Store(10 << 20)
	inodes.Store(1 << 20)
	var now atomic.Int64
	q := open(t, vfs.NewMem(), func(o *Options) {
		o.ReserveBytes = 1 << 20
		o.DiskFree = func() (uint64, uint64, error) { return bytes.Load(), inodes.Load(), nil }
		o.Clock = func() time.Time { return time.Unix(1e9, now.Add(int64(diskFresh)+1)) }
	})
	put(t, q, "before", "u@a.example")
	d, err := q.NewDraft(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.NewDraft(2 << 20); !errors.Is(err, ErrFull) {
		t.Errorf("announced bytes of open drafts are not counted: %v", err)
	}
	d.Abort()
	for _, short := range []struct{ bytes, inodes uint64 }{{1<<20 - 1, 1 << 20}, {10 << 20, reserveInodes - 1}} {
		bytes.Store(short.bytes)
		inodes.Store(short.inodes)
		if _, err := q.NewDraft(0); !errors.Is(err, ErrFull) || q.Healthy() == nil {
			t.Errorf("%+v: %v, healthy: %v", short, err, q.Healthy())
		}
	}
	if n := settleAll(t, q, Delivered, time.Time{}); n != 1 {
		t.Errorf("delivered %d with a full disk", n)
	}
	bytes.Store(1<<20 + uint64(len("after")))
	inodes.Store(reserveInodes)
	put(t, q, "after", "u@a.example")
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Texts that wait leave memory first and are read again when they are leased;
// when drafts alone fill the budget, mail is refused.
//
// Covers Q17, G6.
func TestMemoryIsShort(t *testing.T) {
	q := open(t, vfs.NewMem(), func(o *Options) { o.MemoryBytes, o.SegmentBytes = 256<<10, 1<<20 })
	for n := range 40 {
		put(t, q, strings.Repeat(fmt.Sprint(n%10), 16_000), "u@a.example")
		if c := q.Counts(); c.MemoryBytes > 256<<10 {
			t.Fatalf("%d bytes in memory", c.MemoryBytes)
		}
	}
	l := q.Lane("lane-a.example")
	for n := range 40 {
		j := l.Next(t.Context(), 0, Lease{MaxRecipients: 1}, nil)
		if got := textOf(t, j); got != strings.Repeat(fmt.Sprint(n%10), 16_000) {
			t.Fatalf("message %d: text of %d bytes", n, len(got))
		}
		j.Settle(all(j, Delivered, time.Time{}))
	}
	var drafts []*Draft
	for {
		d, err := q.NewDraft(30 << 10)
		if err != nil {
			if !errors.Is(err, ErrFull) {
				t.Error(err)
			}
			break
		}
		drafts = append(drafts, d)
	}
	if len(drafts) < 6 || len(drafts) > 9 {
		t.Errorf("%d drafts of 32 KiB in 256 KiB", len(drafts))
	}
	for _, d := range drafts {
		d.Abort()
	}
	if n := q.Counts().MemoryBytes; n != 0 {
		t.Errorf("%d bytes of memory are not given back", n)
	}
	put(t, q, "after", "u@a.example")
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A spool full of mail that cannot be recycled, since its events are not logged,
// refuses more with ErrFull, still takes settlements, and goes on when they are.
//
// Covers G6.
func TestSpoolIsFull(t *testing.T) {
	q := open(t, vfs.NewMem())
	text := strings.Repeat("x", 20_000)
	var err error
	n := 0
	for n < 1000 {
		var d *Draft
		if d, err = q.NewDraft(0); err != nil {
			break
		}
		d.Envelope().AddRecipient([]byte("u@a.example"), 0, nil)
		if _, err = d.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err = d.Commit(t.Context()); err != nil {
			break
		}
		n++
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d messages: %v", n, err)
	}
	if got := settleAll(t, q, Delivered, time.Time{}); got != n {
		t.Errorf("delivered %d of %d", got, n)
	}
	until(t, "room in the spool", func() bool {
		q.Logged(q.LogMark())
		d, err := q.NewDraft(0)
		if err != nil {
			return false
		}
		d.Envelope().AddRecipient([]byte("u@a.example"), 0, nil)
		return d.Commit(t.Context()) == nil
	})
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A waiting recipient costs a slot of 40 bytes and nothing on the heap, and the
// message little more.
//
// Covers Q13.
func TestMemoryOfWaitingMail(t *testing.T) {
	q := open(t, vfs.NewMem(), func(o *Options) { o.SegmentBytes, o.HotMessages = 1<<20, 10 })
	const n = 8192
	for k := range n / 4 {
		put(t, q, "x", "a@a.example", "b@a.example", "c@a.example", "d@a.example")
		settleAll(t, q, Deferred, time.Now().Add(time.Hour))
		if k%64 == 0 && q.Counts().SegmentsFree < 2 { // counting goes through all that waits
			q.Logged(q.LogMark())
		}
	}
	until(t, "messages are moved", func() bool { return q.Counts().HotMessages <= 10 })
	c := q.Counts()
	if c.States[Deferred].Recipients != n || c.TableBytes > (n+2*4096)*40 || c.MemoryBytes != 0 {
		t.Errorf("counts: %+v", c)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// In steady state accept, lease and settle allocate next to nothing.
func TestPassageAllocates(t *testing.T) {
	if raceEnabled || invariants.Enabled {
		return // pools drop at random, and the checks allocate: there is no steady state
	}
	q := open(t, vfs.NewMem(), func(o *Options) { o.SegmentBytes = 16 << 20 })
	text := []byte(strings.Repeat("x", 4096))
	rcpt := []byte("u@a.example")
	res := []Result{{State: Delivered, Attempt: true}}
	l := q.Lane("lane-a.example")
	ctx := context.Background()
	var j *Job
	once := func() {
		d, err := q.NewDraft(4096)
		if err != nil {
			t.Fatal(err)
		}
		d.Envelope().AddRecipient(rcpt, 0, nil)
		if _, err := d.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		j = l.Next(ctx, time.Second, Lease{MaxRecipients: 1}, j)
		j.Settle(res)
	}
	for range 500 {
		once()
	}
	if n := testing.AllocsPerRun(2000, once); n > 1 {
		t.Errorf("%.1f allocations a message", n)
	}
	if err := q.Close(ctx); err != nil {
		t.Error(err)
	}
}

package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/queue/internal/table"
)

// one binds every domain to the same lane.
func one(o *Options) { o.Bind = func(_, _ []byte) string { return "lane" } }

// NextOlder finds what is old enough wherever it stands, hands each message out
// once, and nothing that is younger.
func TestNextOlder(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	q := open(t, vfs.NewMem(), one, func(o *Options) { o.Clock = clock })
	l := q.Lane("lane")
	if j := l.NextOlder(clock(), 0, nil); j != nil {
		t.Fatalf("an empty lane gave %v", j.id)
	}
	want := map[mail.ID]bool{}
	for k := range 6 {
		want[put(t, q, "old", fmt.Sprintf("u@d%d.example", k%3), "v@d0.example")] = true
	}
	first := clock()
	now.Add(int64(time.Hour))
	for k := range 6 {
		put(t, q, "young", fmt.Sprintf("u@d%d.example", k%3))
	}
	for range want { // what comes back from a retry goes to the end of its line
		j := l.Next(t.Context(), 0, Lease{}, nil)
		j.Settle(all(j, Deferred, clock()))
	}
	now.Add(int64(time.Second))
	q.kickClock()
	until(t, "the old are behind the young", func() bool { return q.Counts().States[Ready].Recipients == 18 })

	if j := l.NextOlder(first, 0, nil); j != nil {
		t.Errorf("%v is older than all", j.id)
	}
	limit := first.Add(time.Minute)
	var spent *Job
	for j := l.NextOlder(limit, 0, nil); j != nil; j = l.NextOlder(limit, 0, spent) {
		if len(j.Recipients) != 2 || !want[j.Envelope.ID] || textOf(t, j) != "old" {
			t.Errorf("leased %v with %d recipients", j.Envelope.ID, len(j.Recipients))
		}
		delete(want, j.Envelope.ID)
		j.Settle(all(j, Failed, time.Time{}))
		spent = j
	}
	if c := q.Counts(); len(want) > 0 || c.States[Failed].Recipients != 12 || c.States[Ready].Recipients != 6 {
		t.Errorf("left out: %v, counts: %+v", want, c.States)
	}
	n := 0
	for j := l.NextOlder(clock(), 0, nil); j != nil; j = l.NextOlder(clock(), 0, nil) {
		j.Settle(all(j, Failed, time.Time{}))
		n++
	}
	if n != 6 {
		t.Errorf("%d of 6 are old by now", n)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// While moved messages may not be leased, fresh ones do not wait behind them.
func TestFreshMailPassesMoved(t *testing.T) {
	q := open(t, vfs.NewMem(), one, func(o *Options) { o.HotMessages = 1 })
	const n = 8
	for k := range n {
		put(t, q, "moved", fmt.Sprintf("u@d%d.example", k%2))
	}
	settleAll(t, q, Deferred, time.Now())
	until(t, "messages are moved, and ready again", func() bool {
		c := q.Counts()
		return c.HotMessages <= 1 && c.States[Ready].Recipients == n
	})
	for _, fresh := range []string{"u@d0.example", "u@d2.example"} { // in a line of moved ones, and in its own
		id := put(t, q, "fresh", fresh)
		l := q.Lane("lane")
		passed := map[mail.ID]bool{}
		q.mu.Lock()
		moved := 0
		for range 2 * n {
			if i, _ := q.nextLocked(l, false); i != 0 && !q.tb.At(i).Has(table.Hot) {
				moved++
			}
		}
		if moved == 0 {
			t.Error("moved messages have no turn")
		}
		for range 2 * n {
			if i, _ := q.nextLocked(l, true); i != 0 {
				if !q.tb.At(i).Has(table.Hot) {
					t.Error("a moved message is next")
				}
				passed[q.tb.ID(i)] = true
			}
		}
		q.mu.Unlock()
		if !passed[id] {
			t.Errorf("the fresh message to %s is not next in %d turns", fresh, 2*n)
		}
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A Drop that does not wait for what is in flight leaves it alone: whatever is
// dropped stands in a result.
func TestDropLetsBe(t *testing.T) {
	q := open(t, vfs.NewMem())
	id := put(t, q, "flies", "x@a.example", "y@a.example")
	j := q.Lane("lane-a.example").Next(t.Context(), 0, Lease{MaxRecipients: 1}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan ActionResult)
	go func() {
		res, err := q.Drop(ctx, Filter{IDs: []mail.ID{id}}, "spam", nil)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		started <- res
	}()
	until(t, "the one that waits is dropped", func() bool { return q.Lane("lane-a.example").Waiting() == 1 })
	cancel()
	if res := <-started; res.Matched != 2 || res.Done != 1 || res.Pending != 1 {
		t.Errorf("%+v", res)
	}
	j.Settle([]Result{{State: Deferred, Due: time.Now().Add(time.Hour), Attempt: true}})
	if c := q.Counts(); c.States[Deferred].Recipients != 1 || len(q.drops) != 0 {
		t.Errorf("counts %+v, %d drops", c.States, len(q.drops))
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// fillMixed puts n messages of several senders, domains and states; about a
// half of them are moved.
func fillMixed(t *testing.T, q *Queue, n int) {
	t.Helper()
	senders := []string{"a@x.example", "B@X.example", "c@y.example", ""}
	domains := []string{"one.example", "two.example", "three.example"}
	for k := range n {
		d, err := q.NewDraft(0)
		if err != nil {
			t.Fatal(err)
		}
		e := d.Envelope()
		e.Sender = e.KeepString(senders[k%len(senders)])
		for r := range 1 + k%3 {
			e.AddRecipient(fmt.Appendf(nil, "u%d@%s", k%5, domains[(k+r)%3]), 0, nil)
		}
		if _, err := d.Write(make([]byte, 100*(k%7))); err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if k%10 == 9 {
			continue // stays ready
		}
		states := []State{Deferred, Held, Failed, Deferred}
		for _, l := range q.Lanes() {
			for j := l.Next(t.Context(), 0, Lease{MaxRecipients: 1}, nil); j != nil; j = l.Next(t.Context(), 0, Lease{MaxRecipients: 1}, j) {
				j.Settle([]Result{{
					State: states[(k+j.Recipients[0])%4], Due: time.Now().Add(time.Hour), Attempt: k%2 == 0,
					Status: mail.NewStatus(uint16(421+k%2), 4, uint16(k%3), 1, fmt.Sprint("reply ", k)),
				}})
			}
		}
	}
}

// Every selector, over hot and moved messages, whole and by pages, gives what
// looking at all of them gives.
//
// Covers Q15.
func TestListBySelectors(t *testing.T) {
	fs := vfs.NewMem()
	q := open(t, fs, func(o *Options) { o.HotMessages, o.SegmentBytes = 60, 1<<20 })
	fillMixed(t, q, 150)
	until(t, "half of them are moved", func() bool { return q.Counts().HotMessages < 100 })
	var everything []listed
	if err := q.List(t.Context(), Filter{}, func(it *Item) bool {
		everything = append(everything, flat(it)...)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if len(everything) != 300 {
		t.Fatalf("%d recipients", len(everything))
	}
	ids := []mail.ID{everything[7].id, everything[3].id, everything[120].id}
	for name, c := range map[string]struct {
		f    Filter
		fits func(listed) bool
	}{
		"ids":  {Filter{IDs: ids}, func(l listed) bool { return slices.Contains(ids, l.id) }},
		"from": {Filter{From: "b@x.EXAMPLE"}, func(l listed) bool { return l.from == "B@X.example" }},
		"null": {Filter{From: "<>"}, func(l listed) bool { return l.from == "" }},
		"from domain": {Filter{FromDomain: "x.example"}, func(l listed) bool {
			return strings.HasSuffix(l.from, ".example") && l.from[1] != '@' || strings.EqualFold(l.from[min(1, len(l.from)):], "@x.example")
		}},
		"to":        {Filter{To: "U2@two.example"}, func(l listed) bool { return l.to == "u2@two.example" }},
		"to domain": {Filter{ToDomain: "three.example"}, func(l listed) bool { return strings.HasSuffix(l.to, "@three.example") }},
		"lane":      {Filter{Lane: "lane-one.example"}, func(l listed) bool { return l.r.Lane == "lane-one.example" }},
		"held":      {Filter{State: Held}, func(l listed) bool { return l.r.State == Held }},
		"ready":     {Filter{State: Ready}, func(l listed) bool { return l.r.State == Ready }},
		"code":      {Filter{Code: 422}, func(l listed) bool { return l.r.Status.Code == 422 }},
		"enhanced":  {Filter{Code: 421, Enhanced: "4.2.1"}, func(l listed) bool { return l.r.Status.Code == 421 && l.r.Status.Enhanced.Subject == 2 }},
		"attempts":  {Filter{MinAttempts: 1}, func(l listed) bool { return l.r.Attempts >= 1 }},
		"size":      {Filter{MinSize: 300}, func(l listed) bool { return l.size >= 300 }},
		"old":       {Filter{OlderThan: time.Hour}, func(listed) bool { return false }},
		"new":       {Filter{NewerThan: time.Hour}, func(listed) bool { return true }},
		"both": {Filter{ToDomain: "one.example", State: Deferred, FromDomain: "y.example"}, func(l listed) bool {
			return strings.HasSuffix(l.to, "@one.example") && l.r.State == Deferred && l.from == "c@y.example"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, l := range everything {
				if c.fits(l) {
					want = append(want, l.String())
				}
			}
			if got := pages(t, q, c.f, 0); !slices.Equal(got, want) {
				t.Errorf("whole: %d, want %d", len(got), len(want))
			}
			if got := pages(t, q, c.f, 7); !slices.Equal(got, want) {
				t.Errorf("by pages: %d, want %d", len(got), len(want))
			}
		})
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

type listed struct {
	id       mail.ID
	from, to string
	size     int64
	r        RecipientState
}

func (l listed) String() string {
	return fmt.Sprint(l.id, l.r.Index, l.r.State, l.r.Version, l.r.Attempts, l.r.Lane, string(l.r.Status.Text))
}

func flat(it *Item) (ls []listed) {
	for _, r := range it.Recipients {
		r.Status.Text = slices.Clone(r.Status.Text)
		ls = append(ls, listed{it.Envelope.ID, string(it.Envelope.Sender), string(it.Envelope.Recipients[r.Index].Address), it.Envelope.SizeBytes, r})
	}
	return ls
}

// pages lists with the cursor, limit messages at a time.
func pages(t *testing.T, q *Queue, f Filter, limit int) (got []string) {
	t.Helper()
	f.Limit = limit
	for {
		n := 0
		err := q.List(t.Context(), f, func(it *Item) bool {
			for _, l := range flat(it) {
				got = append(got, l.String())
			}
			f.After = it.Envelope.ID
			n++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if limit == 0 || n < limit {
			return got
		}
	}
}

// Dropping what waits ends it at once and for good; what is in flight is dropped
// when its attempt ends, unless it ends by itself: then that wins.
func TestDrop(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs, func(o *Options) { o.HotMessages = 2 })
	for range 10 {
		put(t, q, "text", "u@a.example", "v@b.example")
	}
	settleAll(t, q, Deferred, time.Now().Add(time.Hour))
	until(t, "most are moved", func() bool { return q.Counts().HotMessages <= 2 })
	res, err := q.Drop(t.Context(), Filter{ToDomain: "a.example"}, "spam", nil)
	if err != nil || res.Matched != 10 || res.Done != 10 {
		t.Fatalf("%+v, %v", res, err)
	}
	id := put(t, q, "flies", "x@c.example", "y@c.example", "z@c.example")
	j := q.Lane("lane-c.example").Next(t.Context(), 0, Lease{MaxRecipients: 2}, nil)
	done := make(chan ActionResult)
	go func() {
		res, err := q.Drop(context.Background(), Filter{IDs: []mail.ID{id}}, "spam", nil)
		if err != nil {
			t.Error(err)
		}
		done <- res
	}()
	until(t, "the third is dropped", func() bool { return q.Lane("lane-c.example").Waiting() == 2 })
	j.Settle([]Result{{State: Delivered, Attempt: true}, {State: Deferred, Due: time.Now(), Attempt: true}})
	if res := <-done; res.Matched != 3 || res.Done != 2 || res.Skipped != 1 || res.Items[0].State != Delivered {
		t.Errorf("%+v", res)
	}
	q2 := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	if c := q2.Counts(); c.Recipients != 10 || c.Messages != 10 {
		t.Errorf("after a power cut: %+v", c)
	}
	if err := q2.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

package relay

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/queue"
	"postrider/relay/smtp"
)

// Mail for mailboxes goes straight there, and nothing else does; each is told of and
// counted as usual, and its key goes when its events are safe.
func TestTheDirectWay(t *testing.T) {
	for _, c := range []struct {
		name   string
		lmtp   bool
		p      smtp.RcptParams
		size   int
		to     string
		want   string
		direct int // recipients that went the direct way
		queued int // accepted by the queue
	}{
		{name: "one", to: "a@box.example", want: "250 queued", direct: 1},
		{name: "three", to: "a@box.example b@box.example c@box.example", want: "250 queued", direct: 3},
		{name: "named twice", to: "a@box.example a@box.example", want: "250 queued", direct: 1},
		{name: "full", to: "full@box.example", want: "452 full"},
		{name: "one of two is full", to: "a@box.example full@box.example", want: "250 queued", queued: 2},
		{name: "elsewhere", to: "a@far.example", want: "250 queued", queued: 1},
		{name: "both", to: "a@box.example b@far.example", want: "250 queued", queued: 2},
		{name: "success is asked for", p: smtp.RcptParams{Notify: mail.NotifySuccess}, to: "a@box.example", want: "250 queued", queued: 1},
		{name: "failure is asked for", p: smtp.RcptParams{Notify: mail.NotifyFailure}, to: "a@box.example", want: "250 queued", direct: 1},
		{name: "large", size: 70 << 10, to: "a@box.example", want: "250 queued", queued: 1},
		{name: "LMTP", lmtp: true, to: "a@box.example b@box.example", want: "250 queued, 250 queued", direct: 2},
		{name: "LMTP, one is full", lmtp: true, to: "a@box.example full@box.example nobody@box.example b@box.example a@box.example", want: "250 queued, 452 full, 250 queued, 250 queued", direct: 2},
		{name: "LMTP, all are full", lmtp: true, to: "full@box.example full2@box.example", want: "452 full, 452 full"},
		{name: "LMTP, large", lmtp: true, size: 70 << 10, to: "a@box.example full@box.example", want: "250 queued, 250 queued", queued: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHome(t, vfs.NewMem(), newBoxes(), nil)
				if got := codes(h.send(t, c.lmtp, c.p, c.size, strings.Fields(c.to)...)); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				if l := h.e.Ledger(); l.Accepted != int64(c.direct+c.queued) || l.Queued != int64(c.queued) || l.Imbalance() != 0 {
					t.Errorf("%+v", l)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				waits := strings.Count(c.to, "full") * min(1, c.queued)
				ended := c.direct + c.queued - waits
				if l := h.e.Ledger(); l.Ended != int64(ended) || l.Imbalance() != 0 {
					t.Errorf("in the end %+v", l)
				}
				if h.log.of("delivered") != ended || h.log.of("accepted") != min(1, c.direct+c.queued) {
					t.Errorf("events %v", h.log.events)
				}
				if keys := h.b.keyed(); keys != min(1, waits) {
					t.Errorf("%d keys are left", keys)
				}
			})
		})
	}
}

// A message that mailboxes do not take in time, or fail to take, goes to the queue.
func TestTheDirectWayFails(t *testing.T) {
	for name, direct := range map[string]func(ctx context.Context) error{
		"an error": func(context.Context) error { return errDown },
		"too late": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBoxes()
				b.direct = direct
				h := newHome(t, vfs.NewMem(), b, nil)
				for range 3 { // the wait is used again
					if got := codes(h.send(t, false, smtp.RcptParams{}, 0, "a@box.example")); got != "250 queued" {
						t.Error(got)
					}
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if l := h.e.Ledger(); l.Ended != 3 || l.Imbalance() != 0 || b.has("a@box.example") != 3 || b.keyed() != 0 {
					t.Errorf("%+v, %d filed, %d keys", l, b.has("a@box.example"), b.keyed())
				}
			})
		})
	}
}

// The lane of mailboxes has many deliveries under way at once; a failing store defers.
func TestTheLaneOfMailboxes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoxes()
		var down atomic.Bool
		down.Store(true)
		b.queued = func() mail.Status {
			if down.Load() {
				return mail.NewStatus(451, 4, 3, 0, "later")
			}
			return mail.Status{}
		}
		h := newHome(t, vfs.NewMem(), b, func(o *Options) { o.Rules.NoDirect = true })
		for range 200 {
			h.send(t, false, smtp.RcptParams{}, 0, "a@box.example")
		}
		time.Sleep(10 * time.Second)
		if n := h.e.Queue().Counts().States[queue.Deferred].Recipients; n != 200 {
			t.Errorf("%d are deferred", n)
		}
		if most := b.peak(); most < 32 || most > localWorkers {
			t.Errorf("%d deliveries at once", most)
		}
		down.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := b.has("a@box.example"); n != 200 || b.keyed() != 0 {
			t.Errorf("%d filed, %d keys", n, b.keyed())
		}
	})
}

// After a crash the keys of messages that are in the queue stay until these end, and
// those of others go.
func TestKeysAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		b := newBoxes()
		h := newHome(t, fs, b, nil)
		h.send(t, false, smtp.RcptParams{}, 0, "a@box.example")                     // direct
		h.send(t, false, smtp.RcptParams{}, 0, "b@box.example", "full@box.example") // one is filed, one waits
		time.Sleep(500 * time.Millisecond)
		after := newBoxes()
		time.Sleep(1500 * time.Millisecond)
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		gone := mail.MakeID(time.Now().UnixMilli(), 0, 1, 1)
		after.keys[gone] = true
		b.mu.Lock()
		for id := range b.keys {
			after.keys[id] = true
		}
		b.mu.Unlock()
		if len(after.keys) != 2 {
			t.Fatalf("keys %v", after.keys)
		}
		h2 := newHome(t, crashed, after, nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		after.mu.Lock()
		if !after.forgotten[gone] || len(after.keys) != 1 {
			t.Errorf("forgotten %v, kept %v", after.forgotten, after.keys)
		}
		after.mu.Unlock()
		if r, err := h2.e.Drop(t.Context(), queue.Filter{}, "test", ""); err != nil {
			t.Error(r, err)
		}
		time.Sleep(5 * time.Second)
		if after.keyed() != 0 {
			t.Error("a key is left")
		}
	})
}

// While somebody wants them to stay no keys go, and all of them afterwards.
func TestKeptKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, vfs.NewMem(), newBoxes(), nil)
		release := h.e.KeepKeys()
		h.send(t, false, smtp.RcptParams{}, 0, "a@box.example")
		h.send(t, false, smtp.RcptParams{Notify: mail.NotifySuccess}, 0, "a@box.example") // through the queue
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if keys := h.b.keyed(); keys != 2 {
			t.Errorf("%d keys are left, want 2", keys)
		}
		release()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if keys := h.b.keyed(); keys != 0 {
			t.Errorf("%d keys are left", keys)
		}
	})
}

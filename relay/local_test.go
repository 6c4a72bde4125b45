package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/policy"
	"postrider/relay/route"
	"postrider/relay/smtp"
	"postrider/relay/smtpd"
)

// boxes is a delivery agent whose mailboxes are a list of what was filed. Users whose
// names begin with "full" have no room.
type boxes struct {
	direct func(ctx context.Context) error // what stands against the direct way; nil: nothing
	queued func() mail.Status              // the outcome by way of the queue; nil: filed

	mu        sync.Mutex // guards following
	filed     map[string]int
	keys      map[mail.ID]bool
	forgotten map[mail.ID]bool
	busy      int
	most      int
}

func newBoxes() *boxes {
	return &boxes{filed: make(map[string]int), keys: make(map[mail.ID]bool), forgotten: make(map[mail.ID]bool)}
}

func (b *boxes) Recipient(_ context.Context, address []byte, _ int64) mail.Status {
	if bytes.HasPrefix(address, []byte("nobody@")) {
		return mail.NewStatus(550, 5, 1, 1, "no such user here")
	}
	return mail.Status{}
}

func (b *boxes) Serve(ctx context.Context, _ <-chan struct{}, _ *mail.Egress, src mail.Source) error {
	for d := src.Next(ctx, time.Second); d != nil; d = src.Next(ctx, time.Second) {
		b.enter(1)
		time.Sleep(time.Second)
		if b.queued != nil && !b.queued().IsZero() {
			d.SetRest(b.queued())
		}
		b.file(d)
		b.enter(-1)
		src.Done(d)
	}
	return nil
}

func (b *boxes) enter(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy += n
	b.most = max(b.most, b.busy)
}

func (b *boxes) file(d *mail.Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, k := range d.Recipients {
		address := string(d.Envelope.Recipients[k].Address)
		switch {
		case !d.Outcomes[i].IsZero():
		case strings.HasPrefix(address, "full"):
			d.Set(i, mail.NewStatus(452, 4, 2, 2, "full"))
		default:
			b.filed[address]++
			b.keys[d.Envelope.ID] = true
			d.Set(i, mail.NewStatus(250, 2, 1, 5, "delivered"))
		}
	}
}

func (b *boxes) Direct(ctx context.Context, d *mail.Delivery, whole bool) bool {
	if b.direct != nil && b.direct(ctx) != nil {
		return false
	}
	if whole {
		for _, k := range d.Recipients {
			if bytes.HasPrefix(d.Envelope.Recipients[k].Address, []byte("full")) {
				return false
			}
		}
	}
	if _, err := io.ReadAll(d.Body.Reader()); err != nil {
		return false
	}
	b.file(d)
	return true
}

func (b *boxes) Forget(ids ...mail.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		delete(b.keys, id)
		b.forgotten[id] = true
	}
}

func (b *boxes) Remembered(yield func(id mail.ID) error) error {
	b.mu.Lock()
	var ids []mail.ID
	for id := range b.keys {
		ids = append(ids, id)
	}
	b.mu.Unlock()
	for _, id := range ids {
		if err := yield(id); err != nil {
			return err
		}
	}
	return nil
}

func (b *boxes) has(address string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.filed[address]
}

func (b *boxes) keyed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.keys)
}

// home is an engine with mailboxes for box.example, within a bubble.
type home struct {
	e   *Engine
	b   *boxes
	log *lines
	mx  *fakeMX
}

func newHome(t *testing.T, fs vfs.FS, b *boxes, change func(*Options)) *home {
	h := &home{b: b, log: new(lines), mx: &fakeMX{latency: time.Second, reach: reachable}}
	h.mx.answer = func(netip.Addr, *mail.Delivery) mail.Status { return handedOver }
	log, err := maillog.Open(maillog.Options{Output: h.log})
	if err != nil {
		t.Fatal(err)
	}
	access := policy.New(policy.Options{LocalDomains: []string{"box.example"}, RelayDomains: []string{"far.example"}})
	routes := route.New(route.Options{Local: []string{"box.example"}, Rules: []route.Rule{{Domain: "far.example", Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "192.0.2.1:25"}}}})
	o := Options{
		Hostname: "box.example", Queue: queue.Options{FS: fs, Dir: "q", SegmentBytes: 4 << 20, LargeBytes: 64 << 10},
		Rules: &Rules{Access: access, Routes: routes},
		SMTP:  h.mx, Local: b, Log: log, Metrics: metrics.New("test", time.Now()), ClockKept: func() bool { return true },
	}
	if change != nil {
		change(&o)
	}
	if h.e, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.e.Drain(context.Background()), h.e.Close(), log.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	h.e.Start()
	return h
}

// send passes one message through a session and returns the replies to its text.
func (h *home) send(t *testing.T, lmtp bool, p smtp.RcptParams, bytesOfText int, to ...string) []mail.Status {
	t.Helper()
	in, st := h.e.Handler(lmtp).Connect(&smtpd.Conn{ID: 7, Remote: netip.MustParseAddrPort("192.0.2.9:1")})
	if !st.IsZero() {
		t.Fatal(st)
	}
	defer in.Close()
	from, _ := mail.ParseAddress([]byte("s@y.example"), true)
	if st := in.Mail(from, &smtp.MailParams{}); !st.IsZero() {
		t.Fatal(st)
	}
	n := 0
	for _, address := range to {
		a, err := mail.ParseAddress([]byte(address), true)
		if err != nil {
			t.Fatal(err)
		}
		if st := in.Rcpt(a, &p); st.IsZero() {
			n++
		}
	}
	if st := in.Data(); !st.IsZero() {
		t.Fatal(st)
	}
	if st := in.Write(append([]byte("Subject: x\r\n\r\n"), bytes.Repeat([]byte("x\r\n"), bytesOfText/3)...)); !st.IsZero() {
		t.Fatal(st)
	}
	whole := in.Commit()
	if !lmtp {
		return []mail.Status{whole}
	}
	var each []mail.Status
	for i := range n {
		st := in.(smtpd.RecipientStatuser).RecipientStatus(i)
		if st.IsZero() {
			st = whole
		}
		st.Text = bytes.Clone(st.Text)
		each = append(each, st)
	}
	return each
}

func codes(list []mail.Status) string {
	var s []string
	for _, st := range list {
		word, _, _ := strings.Cut(string(st.Text), " as ")
		s = append(s, strings.TrimSpace(string(st.AppendText(nil)[:4]))+" "+word)
	}
	return strings.Join(s, ", ")
}

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
		down := true
		b.queued = func() mail.Status {
			if down {
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
		if b.most < 32 || b.most > localWorkers {
			t.Errorf("%d deliveries at once", b.most)
		}
		down = false
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
		for id := range b.keys {
			after.keys[id] = true
		}
		if len(after.keys) != 2 {
			t.Fatalf("keys %v", after.keys)
		}
		h2 := newHome(t, crashed, after, nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !after.forgotten[gone] || after.keyed() != 1 {
			t.Errorf("forgotten %v, kept %v", after.forgotten, after.keys)
		}
		if r, err := h2.e.Drop(t.Context(), queue.Filter{}, "test", ""); err != nil {
			t.Error(r, err)
		}
		time.Sleep(5 * time.Second)
		if after.keyed() != 0 {
			t.Errorf("kept %v", after.keys)
		}
	})
}

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

func (b *boxes) peak() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
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
		Hostname: "box.example", Queue: queue.Options{FS: fs, Dir: "q", SegmentBytes: 512 << 10, LargeBytes: 64 << 10},
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

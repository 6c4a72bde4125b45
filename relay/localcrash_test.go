package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery"
	"postrider/delivery/mailbox"
	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/policy"
	"postrider/relay/route"
	"postrider/relay/smtp"
	"postrider/relay/smtpd"
)

// unsure is an agent whose direct way fails every now and then, before the message was
// filed or after it.
type unsure struct {
	*delivery.Agent
	calls atomic.Int64
}

func (u *unsure) Direct(ctx context.Context, d *mail.Delivery, whole bool) bool {
	switch u.calls.Add(1) % 4 {
	case 0:
		return false
	case 1:
		u.Agent.Direct(ctx, d, whole)
		return false
	}
	return u.Agent.Direct(ctx, d, whole)
}

type everybody struct{}

func (everybody) Exists(_ context.Context, address string) (string, bool, error) {
	return address, true, nil
}

// realHome is an engine with a store of mail, both on fs.
type realHome struct {
	e     *Engine
	store *mailbox.Store
	log   *maillog.Log
}

func openHome(t *testing.T, fs vfs.FS) *realHome {
	t.Helper()
	h := &realHome{}
	var err error
	h.store, err = mailbox.Open(mailbox.Options{
		FS: fs, Dir: "m", SegmentBytes: 256 << 10, ReserveBytes: -1, MemTableBytes: 256 << 10, CacheBytes: 1 << 20,
		DiskFree: func() (uint64, error) { return 1 << 40, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if h.log, err = maillog.Open(maillog.Options{Output: io.Discard}); err != nil {
		t.Fatal(err)
	}
	h.e, err = Open(t.Context(), Options{
		Hostname: "box.example", Queue: queue.Options{FS: fs, Dir: "q", SegmentBytes: 256 << 10},
		Rules: &Rules{
			Access: policy.New(policy.Options{LocalDomains: []string{"box.example"}}),
			Routes: route.New(route.Options{Local: []string{"box.example"}}),
		},
		SMTP:  &stubHop{},
		Local: &unsure{Agent: delivery.New(delivery.Options{Store: h.store, Users: everybody{}, Idle: 10 * time.Millisecond})},
		Log:   h.log, Metrics: metrics.New("test", time.Now()),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.e.Start()
	return h
}

func (h *realHome) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(h.e.Drain(context.Background()), h.e.Close(), h.log.Close(), h.store.Close()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// send passes a message through a session; nil says that it was taken.
func (h *realHome) send(subject string, to ...string) error {
	in, st := h.e.Handler(false).Connect(&smtpd.Conn{ID: 7})
	if !st.IsZero() {
		return st
	}
	defer in.Close()
	st = in.Mail(mail.Address{Local: []byte("s"), Domain: []byte("y.example")}, &smtp.MailParams{})
	for _, name := range to {
		if st.IsZero() {
			st = in.Rcpt(mail.Address{Local: []byte(name), Domain: []byte("box.example")}, &smtp.RcptParams{})
		}
	}
	if st.IsZero() {
		st = in.Data()
	}
	if st.IsZero() {
		st = in.Write([]byte("Subject: " + subject + "\r\n\r\n"))
	}
	if !st.IsZero() {
		return st
	}
	if st = in.Commit(); !st.OK() {
		return st
	}
	return nil
}

// subjects counts what is in a user's mailbox.
func (h *realHome) subjects(t *testing.T, user string) map[string]int {
	t.Helper()
	found := make(map[string]int)
	a, err := h.store.Account(user + "@box.example")
	if errors.Is(err, mailbox.ErrNoAccount) {
		return found
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Mailbox("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	v, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for i := range v.Len() {
		var msg mailbox.Message
		var b strings.Builder
		if err := m.Message(v.At(i).UID, &msg); err != nil {
			t.Fatal(err)
		}
		if _, err := msg.WriteTo(&b); err != nil {
			t.Error(err)
		}
		msg.Release()
		_, rest, _ := strings.Cut(b.String(), "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		found[subject]++
	}
	return found
}

// Power is cut while mail comes in, straight and by the queue: whoever was told 250 has
// the message, once, be it that the direct way had failed before or after it was filed.
//
// Covers G1, G4.
func TestPowerCutsAtHome(t *testing.T) {
	users := []string{"alice", "bob", "carol"}
	step := 1
	if raceEnabled {
		step = 2
	}
	for round := 0; round < 6; round += step {
		fs := vfs.NewCrashableMem()
		h := openHome(t, fs)
		var mu sync.Mutex
		taken := make(map[string][]string) // by subject: users
		var senders sync.WaitGroup
		for s := range 6 {
			senders.Go(func() {
				for n := range 60 {
					subject, to := fmt.Sprintf("%d.%d", s, n), users[:1+(s+n)%len(users)]
					if err := h.send(subject, to...); err != nil {
						t.Errorf("%s: %v", subject, err)
					}
					mu.Lock()
					taken[subject] = to
					mu.Unlock()
				}
			})
		}
		known := make(map[string][]string)
		until(t, "some messages are taken", func() bool {
			mu.Lock()
			defer mu.Unlock()
			for subject, to := range taken {
				known[subject] = to
			}
			return len(known) >= 1+round*50
		})
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 20 * round, RNG: rand.New(rand.NewPCG(1, uint64(round)))})
		senders.Wait()
		h.close(t)
		h = openHome(t, crashed)
		until(t, "the queue is empty", func() bool {
			<-h.e.Queue().Loaded()
			return h.e.Ledger().Queued == 0
		})
		for _, user := range users {
			found := h.subjects(t, user)
			for subject, to := range known {
				for _, name := range to {
					if name == user && found[subject] == 0 {
						t.Errorf("round %d: %s lacks %s", round, user, subject)
					}
				}
			}
			for subject, n := range found {
				if n > 1 {
					t.Errorf("round %d: %s has %s %d times", round, user, subject, n)
				}
			}
		}
		keys := func() (n int) {
			if err := h.store.Keys(func(mail.ID) error { n++; return nil }); err != nil {
				t.Error(err)
			}
			return n
		}
		until(t, "all keys are forgotten", func() bool { return keys() == 0 })
		h.close(t)
	}
}

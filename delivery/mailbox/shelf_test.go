package mailbox_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

// many files n messages.
func many(t *testing.T, s *mailbox.Store, m *mailbox.Mailbox, n int) {
	t.Helper()
	ds := make([]*mailbox.Delivery, n)
	for i := range ds {
		ds[i] = &mailbox.Delivery{Text: text("x"), Targets: []mailbox.Target{{Mailbox: m}}}
	}
	for i, err := range s.DeliverEach(t.Context(), ds...) {
		if err != nil {
			t.Fatal(i, err)
		}
	}
}

// A large mailbox that is opened again shows what has happened meanwhile, whether its
// array was kept, had to go for another one's, or never was worth keeping.
func TestOpenedAgain(t *testing.T) {
	o := small(vfs.NewMem())
	o.ListBytes = 3000 * 16 // room for one of these
	s := open(t, o)
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	for _, name := range []string{"one", "two", "small"} {
		m, err := a.Create(t.Context(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		if name != "small" {
			many(t, s, m, 2000)
		}
	}
	for round := range 3 {
		for _, name := range []string{"one", "two", "two", "small"} {
			m := box(t, a, name)
			many(t, s, m, 3)
			if _, err := m.Expunge(t.Context(), []mailbox.Range{{From: 1, To: uint32(round + 1)}}, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Flags(t.Context(), []mailbox.Range{{From: 1, To: 1<<32 - 1}}, &mailbox.FlagChange{Flags: mailbox.FlagSeen}); err != nil {
				t.Fatal(err)
			}
			v, err := m.View()
			if err != nil {
				t.Fatal(err)
			}
			status := m.Status()
			if v.Len() != status.Messages || v.Len() > 0 && v.At(0).UID != uint32(round+2) {
				t.Errorf("round %d, %s: %d messages of %d, the first is %v", round, name, v.Len(), status.Messages, v.At(0))
			}
			v.Each(0, func(i int, e mailbox.Entry) bool {
				if e.Flags != mailbox.FlagSeen {
					t.Errorf("round %d, %s: message %d has flags %b", round, name, i, e.Flags)
				}
				return !t.Failed()
			})
			v.Close()
		}
	}
	if err := a.Delete(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkView opens a mailbox of 100,000 messages that was open before.
func BenchmarkView(b *testing.B) {
	s, err := mailbox.Open(mailbox.Options{Dir: b.TempDir(), ReserveBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	m := users(b, s, 1)[0]
	ds := make([]*mailbox.Delivery, 1000)
	for range 100 {
		for i := range ds {
			ds[i] = &mailbox.Delivery{Text: letter(500), Received: time.Unix(1e9, 0), Targets: []mailbox.Target{{Mailbox: m}}}
		}
		for _, err := range s.DeliverEach(b.Context(), ds...) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		v, err := m.View()
		if err != nil || v.Len() != 100_000 {
			b.Fatal(err)
		}
		v.Close()
	}
}

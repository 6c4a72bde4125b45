package mailbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// dump describes all that a store holds, by names and numbers.
func dump(t *testing.T, s *mailbox.Store) string {
	t.Helper()
	var b strings.Builder
	names, err := s.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		a, err := s.Account(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %+v %q\n", name, a.Quota(), a.Subscriptions(nil))
		for _, info := range a.Mailboxes(nil) {
			m := box(t, a, info.Name)
			fmt.Fprintf(&b, " %+v %+v %q\n", info, m.Status(), m.Keywords(nil))
			dumpBox(t, &b, m)
		}
	}
	return b.String()
}

func dumpBox(t *testing.T, b *strings.Builder, m *mailbox.Mailbox) {
	t.Helper()
	v, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var metas []mailbox.Meta
	if err := v.Scan(1, 1<<32-1, func(meta *mailbox.Meta) bool { metas = append(metas, *meta); return true }); err != nil {
		t.Fatal(err)
	}
	if len(metas) != v.Len() {
		t.Errorf("%s: %d rows, %d in the view", m.Name(), len(metas), v.Len())
	}
	for i := range metas {
		meta := &metas[i]
		uidl, err := v.AppendUIDL(nil, meta)
		if err != nil {
			t.Error(err)
		}
		var msg mailbox.Message
		if err := m.Message(meta.UID, &msg); err != nil {
			t.Fatalf("%s: message %d: %v", m.Name(), meta.UID, err)
		}
		var text bytes.Buffer
		if _, err := msg.WriteTo(&text); err != nil {
			t.Errorf("%s: message %d: %v", m.Name(), meta.UID, err)
		}
		msg.Release()
		fmt.Fprintf(b, "  %+v %s %08x\n", *meta, uidl, crc32.ChecksumIEEE(text.Bytes()))
	}
}

// actor does random things to a few accounts.
type actor struct {
	s   *mailbox.Store
	rng *rand.Rand
	as  []*mailbox.Account
	n   int
}

func newActor(t *testing.T, s *mailbox.Store, seed uint64) *actor {
	a := &actor{s: s, rng: rand.New(rand.NewPCG(seed, 9))}
	for i := range 3 {
		a.as = append(a.as, account(t, s, fmt.Sprintf("u%d@example", i)))
	}
	return a
}

func (a *actor) box() *mailbox.Mailbox {
	acc := a.as[a.rng.IntN(len(a.as))]
	list := acc.Mailboxes(nil)
	m, _ := acc.Mailbox(list[a.rng.IntN(len(list))].Name)
	return m
}

// some are UIDs of a mailbox, a few in a row.
func (a *actor) some(m *mailbox.Mailbox) []mailbox.Range {
	next := m.Status().UIDNext
	from := 1 + a.rng.Uint32N(next)
	return []mailbox.Range{{From: from, To: from + a.rng.Uint32N(6)}}
}

// step does one thing; what cannot be done is no error.
func (a *actor) step(ctx context.Context) error {
	a.n++
	m := a.box()
	acc := m.Account()
	var err error
	switch a.rng.IntN(20) {
	case 0, 1:
		_, err = m.Flags(ctx, a.some(m), &mailbox.FlagChange{
			Mode: mailbox.ChangeMode(a.rng.IntN(3)), Flags: mailbox.Flags(a.rng.IntN(32)), Keywords: []string{fmt.Sprintf("k%d", a.rng.IntN(4))},
		})
	case 2, 3, 4:
		_, err = m.Expunge(ctx, a.some(m), 0)
	case 5:
		_, err = m.Copy(ctx, a.some(m), boxOf(acc, a.rng))
	case 6:
		_, err = m.Move(ctx, a.some(m), boxOf(acc, a.rng))
	case 7:
		_, err = acc.Create(ctx, fmt.Sprintf("box%d", a.rng.IntN(5)), 0)
	case 8:
		err = acc.Delete(ctx, fmt.Sprintf("box%d", a.rng.IntN(5)))
	case 9:
		err = acc.SetQuota(ctx, int64(1+a.rng.IntN(9))<<30, 0)
	case 10:
		err = acc.Subscribe(ctx, fmt.Sprintf("box%d", a.rng.IntN(5)), a.rng.IntN(2) == 0)
	default:
		err = a.deliver(ctx, m)
	}
	for _, fine := range []error{
		mailbox.ErrExists, mailbox.ErrNoMailbox, mailbox.ErrNoMessage, mailbox.ErrName, mailbox.ErrInbox, mailbox.ErrQuota,
	} {
		if errors.Is(err, fine) {
			return nil
		}
	}
	return err
}

func boxOf(a *mailbox.Account, rng *rand.Rand) *mailbox.Mailbox {
	list := a.Mailboxes(nil)
	m, _ := a.Mailbox(list[rng.IntN(len(list))].Name)
	return m
}

func (a *actor) deliver(ctx context.Context, m *mailbox.Mailbox) error {
	sizes := []int{200, 3000, 20_000, 100_000} // the last is a file of its own
	body := strings.Repeat(fmt.Sprintf("%07d\n", a.n), sizes[a.rng.IntN(len(sizes))]/8)
	d := mailbox.Delivery{Text: text(body), Targets: []mailbox.Target{{Mailbox: m, Prefix: []byte("X: y\r\n"), UIDL: "imported"[:a.rng.IntN(2)*8]}}}
	if a.rng.IntN(2) == 0 {
		d.Key = mail.MakeID(int64(a.n), 1, uint32(a.rng.Uint64()), 1)
	}
	if a.rng.IntN(3) == 0 {
		d.Targets = append(d.Targets, mailbox.Target{Mailbox: a.box(), Recipient: 1, Keywords: []string{"$K"}})
	}
	err := a.s.Deliver(ctx, &d)
	if d.Key != (mail.ID{}) && a.rng.IntN(2) == 0 {
		a.s.Forget(d.Key)
	}
	return err
}

func quiet(o mailbox.Options) mailbox.Options {
	o.CompactEvery = -1
	return o
}

// TestCompact compacts while everything changes: nothing that anybody can see is
// another one for it, files go, and a crash afterwards loses nothing.
func TestCompact(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := quiet(small(fs))
	s := open(t, o)
	a := newActor(t, s, 1)
	removed := 0
	for round := range 12 {
		for range 80 {
			if err := a.step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		before := dump(t, s)
		n, err := s.Compact(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		removed += n
		if after := dump(t, s); after != before {
			t.Fatalf("round %d: compaction changed\n%s", round, differ(before, after))
		}
		if round%3 == 2 {
			crash := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(round), 1))})
			closeStore(t, s)
			fs, o.FS = crash, crash
			s = open(t, o)
			if after := dump(t, s); after != before {
				t.Fatalf("round %d: after a crash\n%s", round, differ(before, after))
			}
			a.s = s
			for i := range a.as {
				a.as[i] = account(t, s, fmt.Sprintf("u%d@example", i))
			}
		}
	}
	closeStore(t, s)
	if removed < 5 {
		t.Errorf("only %d segments were given back", removed)
	}
}

// differ returns the first lines that differ.
func differ(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			return fmt.Sprintf("-%q\n+%q", x[i:min(i+2, len(x))], y[min(i, len(y)):min(i+2, len(y))])
		}
	}
	return fmt.Sprintf("+%q", y[len(x):])
}

// cut is a store after a power cut, and what had been acknowledged by then.
type cut struct {
	fs   *vfs.MemFS
	have map[uint32]string
}

// TestCompactWhileDelivering compacts again and again while others deliver, change and
// read, and cuts the power at some moments: what had been acknowledged is there, and
// what had been expunged is not, also when the index is made anew from what is left of
// the log.
func TestCompactWhileDelivering(t *testing.T) {
	for seed := range uint64(4) {
		fs := vfs.NewCrashableMem()
		o := quiet(small(fs))
		s := open(t, o)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				if _, err := s.Compact(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}()
		var cuts []cut
		m := box(t, account(t, s, "a@example"), "INBOX")
		have := make(map[uint32]string)
		rng := rand.New(rand.NewPCG(seed, 2))
		for i := range 150 {
			body := strings.Repeat(fmt.Sprintf("%d-%07d\n", seed, i), 1+rng.IntN(3000))
			have[deliver(t, s, body, m)[0]] = body
			for uid, want := range have {
				if content(t, m, uid) != want {
					t.Fatalf("message %d reads otherwise", uid)
				}
				if len(have) <= 12 {
					break
				}
				if _, err := m.Expunge(t.Context(), []mailbox.Range{{From: uid, To: uid}}, 0); err != nil {
					t.Fatal(err)
				}
				delete(have, uid)
			}
			if i%30 == 29 {
				cuts = append(cuts, cut{fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}), maps.Clone(have)})
			}
		}
		stop()
		wg.Wait()
		closeStore(t, s)
		for i := range cuts {
			cuts[i].check(t, o)
		}
	}
}

func (c *cut) check(t *testing.T, o mailbox.Options) {
	t.Helper()
	o.FS = c.fs
	for round := range 2 {
		if round == 1 {
			if r, err := mailbox.Rebuild(t.Context(), o); err != nil || !r.Complete() {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		s := open(t, o)
		sound(t, s)
		m := box(t, account(t, s, "a@example"), "INBOX")
		list := uids(t, m)
		if len(list) != len(c.have) {
			t.Errorf("round %d: %d messages, not %d", round, len(list), len(c.have))
		}
		for uid, want := range c.have {
			if !slices.Contains(list, uid) || content(t, m, uid) != want {
				t.Errorf("round %d: message %d is lost", round, uid)
			}
		}
		closeStore(t, s)
	}
}

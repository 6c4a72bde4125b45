package mailbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

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
		fmt.Fprintf(&b, "%s %+v %q %s\n", name, a.Quota(), a.Subscriptions(nil), notes(t, a.MetadataVersion(), a.Metadata))
		for _, info := range a.Mailboxes(nil) {
			m := box(t, a, info.Name)
			fmt.Fprintf(&b, " %+v %+v %q %s\n", info, m.Status(), m.Keywords(nil), notes(t, m.MetadataVersion(), m.Metadata))
			dumpBox(t, &b, m)
		}
	}
	return b.String()
}

func notes(t *testing.T, version uint64, read func([]mailbox.Metadata) ([]mailbox.Metadata, error)) string {
	t.Helper()
	list, err := read(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprint(&b, version)
	for _, n := range list {
		fmt.Fprintf(&b, " %s=%q@%d", n.Name, n.Value, n.Version)
		if n.Value == nil {
			b.WriteString(" gone")
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
	err := a.note(ctx, m)
	if err != nil {
		return err
	}
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

// note changes metadata now and then.
func (a *actor) note(ctx context.Context, m *mailbox.Mailbox) error {
	c := []mailbox.Metadata{{Name: fmt.Sprintf("/private/%d", a.n%5), Value: [][]byte{nil, []byte("x"), []byte("y")}[a.n%3]}}
	switch {
	case a.n%7 == 0:
		return m.SetMetadata(ctx, c)
	case a.n%13 == 0:
		return m.Account().SetMetadata(ctx, c)
	}
	return nil
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

package mailbox_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// Covers HM3.
func TestQuotaIsExactUnderConcurrency(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	body := text(strings.Repeat("x", 1000))
	if err := a.SetQuota(t.Context(), 20_500, 0); err != nil {
		t.Fatal(err)
	}
	var filed, refused atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				d := mailbox.Delivery{Text: body, Targets: []mailbox.Target{{Mailbox: in}}}
				switch err := s.Deliver(t.Context(), &d); {
				case err == nil:
					filed.Add(1)
				case errors.Is(err, mailbox.ErrQuota) && errors.Is(d.Targets[0].Err, mailbox.ErrQuota):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if filed.Load() != 20 || refused.Load() != 60 || a.Quota().UsedBytes != 20_000 {
		t.Errorf("filed %d, refused %d, %+v", filed.Load(), refused.Load(), a.Quota())
	}
	// Exactly what is left fits, one more does not.
	if err := a.Reserve(501); !errors.Is(err, mailbox.ErrQuota) {
		t.Error(err)
	}
	if err := a.Reserve(500); err != nil {
		t.Error(err)
	}
	d := mailbox.Delivery{Text: body[:500], Targets: []mailbox.Target{{Mailbox: in}}}
	if err := s.Deliver(t.Context(), &d); err != nil {
		t.Error(err)
	}
	if pairs, err := in.Copy(t.Context(), all(), in); !errors.Is(err, mailbox.ErrQuota) {
		t.Error(pairs, err)
	}
	if err := a.SetQuota(t.Context(), 0, 22); err != nil {
		t.Fatal(err)
	}
	if got := deliver(t, s, "the last one", in); got[0] != 22 {
		t.Error(got)
	}
	d = mailbox.Delivery{Text: body, Targets: []mailbox.Target{{Mailbox: in}}}
	if err := s.Deliver(t.Context(), &d); !errors.Is(err, mailbox.ErrQuota) {
		t.Error(err)
	}
	if n, err := in.Expunge(t.Context(), all(), 0); n != 22 || err != nil {
		t.Error(n, err)
	}
	if q := a.Quota(); q.UsedBytes != 0 || q.UsedMessages != 0 {
		t.Errorf("%+v", q)
	}
}

func TestManyMessagesInOneStep(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	var ds []*mailbox.Delivery
	for i := range 3 {
		draft := s.NewDraft()
		defer draft.Close()
		for range 1 + i*7000 { // the last ones are large
			if _, err := io.WriteString(draft, fmt.Sprintf("line of message %d\r\n", i)); err != nil {
				t.Fatal(err)
			}
		}
		body, err := draft.Body()
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, &mailbox.Delivery{Text: body, Targets: []mailbox.Target{{Mailbox: in}}})
	}
	bad := &mailbox.Delivery{Text: text("x"), Targets: []mailbox.Target{{}}}
	if err := s.DeliverAll(t.Context(), append(slices.Clone(ds), bad)...); !errors.Is(err, mailbox.ErrNoMailbox) {
		t.Fatal(err)
	}
	if st := in.Status(); st.Messages != 0 || a.Quota().UsedBytes != 0 {
		t.Fatalf("%+v", st)
	}
	if err := s.DeliverAll(t.Context(), ds...); err != nil {
		t.Fatal(err)
	}
	for i, d := range ds {
		want := strings.Repeat(fmt.Sprintf("line of message %d\r\n", i), 1+i*7000)
		if g := d.Targets[0]; g.UID != uint32(i+1) || content(t, in, g.UID) != want {
			t.Errorf("message %d: %+v", i, g)
		}
	}
	// REPLACE: the new one comes and the old one goes in the same step.
	d := mailbox.Delivery{Text: text("instead"), Targets: []mailbox.Target{{Mailbox: in}}, From: in, Expunge: []mailbox.Range{{From: 2, To: 2}}}
	if err := s.Deliver(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	if got := uids(t, in); !slices.Equal(got, []uint32{1, 3, 4}) {
		t.Error(got)
	}
}

// Only the difference counts of a message that takes the place of another, and what is
// gone cannot be replaced.
func TestReplaceNeedsTheDifference(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	deliver(t, s, strings.Repeat("x", 1000), in)
	if err := a.SetQuota(t.Context(), 1000, 1); err != nil {
		t.Fatal(err)
	}
	replace := func(size int, uid uint32) error {
		draft := s.NewDraft()
		defer draft.Close()
		if _, err := io.WriteString(draft, strings.Repeat("y", size)); err != nil {
			return err
		}
		if err := draft.Spill(); err != nil {
			return err
		}
		body, err := draft.Body()
		if err != nil {
			return err
		}
		return s.Deliver(t.Context(), &mailbox.Delivery{
			Text: body, Targets: []mailbox.Target{{Mailbox: in}}, From: in, Expunge: []mailbox.Range{{From: uid, To: uid}},
		})
	}
	for _, c := range []struct {
		size int
		uid  uint32
		want error
	}{{1001, 1, mailbox.ErrQuota}, {900, 1, nil}, {900, 1, mailbox.ErrNoMessage}, {1000, 2, nil}} {
		if err := replace(c.size, c.uid); !errors.Is(err, c.want) {
			t.Errorf("%d bytes for message %d: %v, want %v", c.size, c.uid, err, c.want)
		}
	}
	if got := uids(t, in); !slices.Equal(got, []uint32{3}) || a.Quota().UsedBytes != 1000 {
		t.Error(got, a.Quota())
	}
}

func TestImportKeepsNumbers(t *testing.T) {
	o := small(vfs.NewMem())
	s := open(t, o)
	a := account(t, s, "a@example")
	m, err := a.Create(t.Context(), "Old", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetUIDValidity(t.Context(), 12345); err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprint("word", i))
	}
	d := mailbox.Delivery{Text: text("x"), Targets: []mailbox.Target{{Mailbox: m, UID: 70, UIDL: "old-id", Keywords: many}}}
	if err := s.Deliver(t.Context(), &d); err != nil || d.Targets[0].UID != 70 {
		t.Fatal(err, d.Targets)
	}
	d.Targets[0] = mailbox.Target{Mailbox: m, UID: 70}
	if err := s.Deliver(t.Context(), &d); !errors.Is(err, mailbox.ErrUID) {
		t.Error(err)
	}
	if err := m.SetUIDValidity(t.Context(), 999); !errors.Is(err, mailbox.ErrUID) {
		t.Error(err)
	}
	deliver(t, s, "y", m)
	told := 0
	stop := m.Watch(func() { told++ })
	if r := m.TakeRecent(); r != (mailbox.Range{From: 1, To: 71}) {
		t.Error(r)
	}
	for round := range 2 {
		m = box(t, a, "Old")
		v, err := m.View()
		if err != nil {
			t.Fatal(err)
		}
		if m.Status().UIDValidity != 12345 || len(m.Keywords(nil)) != mailbox.WordKeywords+mailbox.MoreKeywords || v.More(70) != 1<<64-1 || v.Len() != 2 {
			t.Errorf("round %d: %+v, %d keywords, %x", round, m.Status(), len(m.Keywords(nil)), v.More(70))
		}
		var ids []string
		if err := v.Scan(1, 100, func(meta *mailbox.Meta) bool {
			id, err := v.AppendUIDL(nil, meta)
			ids = append(ids, string(id))
			return err == nil
		}); err != nil || len(ids) != 2 || ids[0] != "old-id" || ids[1] == "" {
			t.Errorf("round %d: %q, %v", round, ids, err)
		}
		if r := m.TakeRecent(); r != (mailbox.Range{From: 72, To: 71}) {
			t.Errorf("round %d: recent %v", round, r)
		}
		v.Close()
		closeStore(t, s)
		if stop(); told > 0 {
			t.Error("watchers were told of what is recent")
		}
		s = open(t, o)
		a = account(t, s, "a@example")
	}
	// The name does not get the imported UIDVALIDITY a second time.
	if err := a.Delete(t.Context(), "Old"); err != nil {
		t.Fatal(err)
	}
	if m, err = a.Create(t.Context(), "Old", 0); err != nil {
		t.Fatal(err)
	}
	if err := m.SetUIDValidity(t.Context(), 12345); !errors.Is(err, mailbox.ErrUID) {
		t.Error(err)
	}
	closeStore(t, s)
}

func TestViewsLearnAndWatchersAreTold(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	var told, names atomic.Int32
	stop := in.Watch(func() { told.Add(1) })
	stopAll := a.Watch(func(m *mailbox.Mailbox) {
		if m == nil {
			names.Add(1)
		}
	})
	v, err := in.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	deliver(t, s, "one", in)
	deliver(t, s, "two", in)
	if told.Load() != 2 || v.Len() != 0 || v.Fresh() {
		t.Errorf("told %d times, %d messages before the refresh", told.Load(), v.Len())
	}
	var changes []string
	note := func(c mailbox.Change) { changes = append(changes, fmt.Sprint(c.Kind, c.Index, c.Entry.UID)) }
	v.Refresh(false, note)
	if _, err := in.Expunge(t.Context(), []mailbox.Range{{From: 1, To: 1}}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Flags(t.Context(), all(), &mailbox.FlagChange{Flags: mailbox.FlagSeen}); err != nil {
		t.Fatal(err)
	}
	v.Refresh(true, note) // the expunged one stays, the flags come in
	if v.Len() != 2 || v.At(1).Flags != mailbox.FlagSeen || v.Fresh() {
		t.Errorf("%d messages, %+v", v.Len(), v.At(1))
	}
	v.Refresh(false, note)
	if want := []string{"1 0 1", "1 1 2", "0 1 2", "2 0 1"}; !slices.Equal(changes, want) || v.Len() != 1 || !v.Fresh() {
		t.Errorf("%q, want %q", changes, want)
	}
	if _, err := a.Create(t.Context(), "x", 0); err != nil || names.Load() != 1 {
		t.Error(err, names.Load())
	}
	stop()
	stopAll()
	before := told.Load()
	deliver(t, s, "three", in)
	if told.Load() != before {
		t.Error("told after stop")
	}
}

func TestKeysAndForget(t *testing.T) {
	o := small(vfs.NewMem())
	s := open(t, o)
	in := box(t, account(t, s, "a@example"), "INBOX")
	ids := []mail.ID{mail.MakeID(1, 1, 1, 1), mail.MakeID(2, 1, 1, 2)}
	for _, id := range ids {
		d := mailbox.Delivery{Key: id, Text: text("x"), Targets: []mailbox.Target{{Mailbox: in}}}
		if err := s.Deliver(t.Context(), &d); err != nil {
			t.Fatal(err)
		}
	}
	s.Forget(ids[0])
	closeStore(t, s)
	s = open(t, o)
	defer closeStore(t, s)
	var left []mail.ID
	if err := s.Keys(func(id mail.ID) error { left = append(left, id); return nil }); err != nil || !slices.Equal(left, ids[1:]) {
		t.Error(left, err)
	}
}

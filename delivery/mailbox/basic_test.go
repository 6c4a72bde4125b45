package mailbox_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

func TestSince(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	for range 5 {
		deliver(t, s, "x", in)
	}
	if _, err := in.Expunge(t.Context(), []mailbox.Range{{From: 4, To: 4}}, 0); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]int{1: 4, 3: 2, 4: 1, 5: 1, 6: 0} {
		if n, err := in.Since(uid); n != want || err != nil {
			t.Errorf("since %d: %d, %v, want %d", uid, n, err, want)
		}
	}
}

func TestWhatIsFiledCanBeRead(t *testing.T) {
	o := small(vfs.NewMem())
	s := open(t, o)
	a, b := account(t, s, "a@example"), account(t, s, "b@example")
	d := mailbox.Delivery{Text: text("Subject: x\r\n\r\nhello\r\n"), Targets: []mailbox.Target{
		{Mailbox: box(t, a, "inbox"), Prefix: []byte("Delivered-To: a\r\n"), Flags: mailbox.FlagSeen, Keywords: []string{"$Junk"}},
		{Mailbox: box(t, b, "INBOX"), Recipient: 1, Prefix: []byte("Delivered-To: b\r\n")},
	}}
	if err := s.Deliver(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789abcde\n", 8<<10) // 128 KiB: a file of its own
	deliver(t, s, large, box(t, a, "INBOX"))
	for round := range 2 {
		m := box(t, a, "INBOX")
		if got := uids(t, m); !slices.Equal(got, []uint32{1, 2}) {
			t.Errorf("round %d: UIDs %v", round, got)
		}
		if got := content(t, m, 1); got != "Delivered-To: a\r\nSubject: x\r\n\r\nhello\r\n" {
			t.Errorf("round %d: %q", round, got)
		}
		if got := content(t, box(t, b, "INBOX"), 1); !strings.HasPrefix(got, "Delivered-To: b\r\n") {
			t.Errorf("round %d: %q", round, got)
		}
		if content(t, m, 2) != large {
			t.Errorf("round %d: the large text differs", round)
		}
		st := m.Status()
		if st.Messages != 2 || st.Unseen != 1 || st.UIDNext != 3 || st.Bytes != int64(len(large)+38) {
			t.Errorf("round %d: %+v", round, st)
		}
		if got := m.Keywords(nil); !slices.Equal(got, []string{"$Junk"}) {
			t.Errorf("round %d: keywords %q", round, got)
		}
		if q := a.Quota(); q.UsedBytes != st.Bytes || q.UsedMessages != 2 {
			t.Errorf("round %d: quota %+v", round, q)
		}
		closeStore(t, s)
		s = open(t, o)
		a, b = account(t, s, "a@example"), account(t, s, "b@example")
	}
	closeStore(t, s)
}

func TestFlagsExpungeCopyMove(t *testing.T) {
	o := small(vfs.NewMem())
	s := open(t, o)
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	for i := range 10 {
		deliver(t, s, fmt.Sprintf("message %d", i+1), in)
	}
	ctx := t.Context()
	res, err := in.Flags(ctx, []mailbox.Range{{From: 2, To: 4}, {From: 6, To: 6}}, &mailbox.FlagChange{Flags: mailbox.FlagSeen, Keywords: []string{"$Done"}})
	if err != nil || res.Changed != 4 {
		t.Fatal(res, err)
	}
	again, err := in.Flags(ctx, all(), &mailbox.FlagChange{Flags: mailbox.FlagSeen, Conditional: true, UnchangedSince: res.ModSeq - 1})
	if err != nil || again.Changed != 6 || !slices.Equal(again.Modified, []mailbox.Range{{From: 2, To: 4}, {From: 6, To: 6}}) {
		t.Fatal(again, err)
	}
	archive, err := a.Create(ctx, "Archive/2026", mailbox.UseArchive)
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := in.Copy(ctx, []mailbox.Range{{From: 2, To: 3}}, archive)
	if err != nil || !slices.Equal(pairs, []mailbox.UIDPair{{From: 2, To: 1}, {From: 3, To: 2}}) {
		t.Fatal(pairs, err)
	}
	if n, err := in.Expunge(ctx, []mailbox.Range{{From: 2, To: 2}}, 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if pairs, err = in.Move(ctx, []mailbox.Range{{From: 9, To: 20}}, archive); err != nil || len(pairs) != 2 {
		t.Fatal(pairs, err)
	}
	for round := range 2 {
		in, archive := box(t, a, "INBOX"), box(t, a, "Archive/2026")
		if got := uids(t, in); !slices.Equal(got, []uint32{1, 3, 4, 5, 6, 7, 8}) {
			t.Errorf("round %d: %v", round, got)
		}
		if got := uids(t, archive); !slices.Equal(got, []uint32{1, 2, 3, 4}) {
			t.Errorf("round %d: %v", round, got)
		}
		if got := content(t, archive, 1); got != "message 2" {
			t.Errorf("round %d: %q", round, got)
		}
		if got := content(t, archive, 4); got != "message 10" {
			t.Errorf("round %d: %q", round, got)
		}
		if got := archive.Keywords(nil); !slices.Equal(got, []string{"$Done"}) {
			t.Errorf("round %d: keywords %q", round, got)
		}
		var gone []mailbox.Range
		if ok, err := in.Vanished(1, func(r mailbox.Range) { gone = append(gone, r) }); !ok || err != nil ||
			!slices.Equal(gone, []mailbox.Range{{From: 2, To: 2}, {From: 9, To: 10}}) {
			t.Errorf("round %d: vanished %v %v %v", round, gone, ok, err)
		}
		if st := in.Status(); st.Unseen != 0 || st.Messages != 7 {
			t.Errorf("round %d: %+v", round, st)
		}
		if q := a.Quota(); q.UsedMessages != 11 {
			t.Errorf("round %d: %+v", round, q)
		}
		closeStore(t, s)
		s = open(t, o)
		a = account(t, s, "a@example")
	}
	closeStore(t, s)
}

func TestNamesAndAccounts(t *testing.T) {
	o := small(vfs.NewMem())
	s := open(t, o)
	ctx := t.Context()
	a := account(t, s, "a@example")
	for _, name := range []string{"Work", "Work/a", "Work/a/b", "Other"} {
		if _, err := a.Create(ctx, name, 0); err != nil {
			t.Fatal(name, err)
		}
	}
	deliver(t, s, "kept", box(t, a, "Work/a"))
	id := box(t, a, "Work/a").ID()
	if err := a.Rename(ctx, "Work", "Play"); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "was in the inbox", box(t, a, "INBOX"))
	first := box(t, a, "INBOX").Status().UIDValidity
	if err := a.Rename(ctx, "INBOX", "Old"); err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(ctx, "Other"); err != nil {
		t.Fatal(err)
	}
	if err := a.Delete(ctx, "INBOX"); !errors.Is(err, mailbox.ErrInbox) {
		t.Errorf("INBOX was deleted: %v", err)
	}
	if _, err := a.Create(ctx, "Play/a", 0); !errors.Is(err, mailbox.ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	if err := a.Subscribe(ctx, "Play/a", true); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAccount(ctx, account(t, s, "gone@example").Name()); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		var names []string
		for _, i := range a.Mailboxes(nil) {
			names = append(names, fmt.Sprint(i.Name, " ", i.Subscribed))
		}
		if want := []string{"INBOX true", "Old false", "Play false", "Play/a true", "Play/a/b false"}; !slices.Equal(names, want) {
			t.Errorf("round %d: %q", round, names)
		}
		if m := box(t, a, "Play/a"); m.ID() != id || content(t, m, 1) != "kept" {
			t.Errorf("round %d: the renamed mailbox is another", round)
		}
		if m := box(t, a, "INBOX"); m.Status().Messages != 0 || m.Status().UIDValidity <= first {
			t.Errorf("round %d: INBOX %+v", round, m.Status())
		}
		if got := content(t, box(t, a, "Old"), 1); got != "was in the inbox" {
			t.Errorf("round %d: %q", round, got)
		}
		if names, err := s.Accounts(); err != nil || !slices.Equal(names, []string{"a@example"}) {
			t.Errorf("round %d: accounts %q %v", round, names, err)
		}
		closeStore(t, s)
		s = open(t, o)
		a = account(t, s, "a@example")
	}
	closeStore(t, s)
}

// Covers HI6.
func TestNamesThatNoMailboxCanHave(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	for _, name := range []string{
		"", "/", "/abs", "a/", "a//b", "..", "../../etc/passwd", "a/../../b", ".", "a\x00b", "a\r\nb", "\xc0\xae", "\xed\xa0\x80", "a\u2028b", "\u0085",
		strings.Repeat("a", 256), strings.Repeat("a/", 999) + "a", "inbox", "InBoX",
	} {
		if _, err := a.Create(t.Context(), name, 0); !errors.Is(err, mailbox.ErrName) && !errors.Is(err, mailbox.ErrExists) {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	for name, want := range map[string]string{"~root": "~root", "a/b c": "a/b c", "inbox/x": "INBOX/x", "e\u0301": "\u00e9", "$(id)": "$(id)"} {
		m, err := a.Create(t.Context(), name, 0)
		if err != nil || m.Name() != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

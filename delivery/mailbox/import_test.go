package mailbox_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// Messages that are filed in a row keep the UIDs that they want, and stay what
// they are over a restart.
func TestDeliverEach(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs))
	a := account(t, s, "user")
	m := box(t, a, "INBOX")
	if err := a.SetQuota(t.Context(), 100_000, 0); err != nil {
		t.Fatal(err)
	}
	var ids []mail.ID
	var ds []*mailbox.Delivery
	for i := range 200 {
		id := mail.ID{0xff, byte(i), 1}
		if i == 150 {
			id = ids[3] // twice the same
		}
		body := text(fmt.Sprintf("Subject: %d\r\n\r\n", i))
		if i == 100 {
			body = make(text, 200_000)
		}
		ids = append(ids, id)
		ds = append(ds, &mailbox.Delivery{Key: id, Text: body, Targets: []mailbox.Target{{Mailbox: m, UID: uint32(2*i + 1)}}})
	}
	for i, err := range s.DeliverEach(t.Context(), ds...) {
		target := &ds[i].Targets[0]
		switch {
		case i == 100:
			if !errors.Is(err, mailbox.ErrQuota) || !errors.Is(target.Err, mailbox.ErrQuota) {
				t.Errorf("one that is too large: %v", err)
			}
		case i == 150:
			if err != nil || !target.Repeat || target.UID != 7 {
				t.Errorf("a repeat: %v, %+v", err, target)
			}
		case err != nil || target.UID != uint32(2*i+1) || target.Repeat:
			t.Errorf("message %d: %v, %+v", i, err, target)
		}
	}
	if err := m.RaiseUIDNext(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(append(s.DeliverEach(t.Context()), m.RaiseUIDNext(t.Context(), 5))...); err != nil {
		t.Error(err)
	}
	if err := m.RaiseUIDNext(t.Context(), 1<<32-1); !errors.Is(err, mailbox.ErrUID) {
		t.Errorf("no UIDs left: %v", err)
	}
	closeStore(t, s)
	s = open(t, small(fs))
	defer closeStore(t, s)
	m = box(t, account(t, s, "user"), "INBOX")
	if got := m.Status(); got.UIDNext != 1000 || got.Messages != 198 {
		t.Errorf("%+v after a restart", got)
	}
	filed, err := m.Filed(append(ids, mail.ID{1}), 0)
	for i, f := range filed {
		if want := i != 100 && i != 200; f != want {
			t.Errorf("message %d is filed: %v", i, f)
		}
	}
	if err != nil || len(filed) != 201 {
		t.Errorf("%d answers, %v", len(filed), err)
	}
	if errs := s.DeliverEach(t.Context(), ds[:3]...); errors.Join(errs...) != nil || !ds[2].Targets[0].Repeat {
		t.Errorf("%v, %+v", errs, ds[2].Targets[0])
	}
}

// Keys of imports are apart from those of messages.
func TestImportKey(t *testing.T) {
	id := mail.MakeID(1<<47, 2, 3, 4)
	if mailbox.IsImportKey(id) || !mailbox.IsImportKey(mailbox.ImportKey(id)) || mailbox.ImportKey(id)[15] != 4 {
		t.Errorf("%v, %v", id, mailbox.ImportKey(id))
	}
}

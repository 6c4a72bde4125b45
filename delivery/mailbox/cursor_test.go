package mailbox_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

// A cursor reads any messages in any order, and says which are gone.
func TestCursor(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	const n = 50
	for i := range n {
		d := mailbox.Delivery{Text: text("Subject: " + strings.Repeat("s", i+1) + "\r\n\r\nbody\r\n"), Targets: []mailbox.Target{{Mailbox: in}}}
		if i%2 == 0 {
			d.Targets[0].Prefix = []byte("X-For: " + strings.Repeat("p", i+1) + "\r\n")
		}
		if err := s.Deliver(t.Context(), &d); err != nil {
			t.Fatal(err)
		}
	}
	v, err := in.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := in.Expunge(t.Context(), []mailbox.Range{{From: 7, To: 7}, {From: n, To: n}}, 0); err != nil {
		t.Fatal(err)
	}
	var c mailbox.Cursor
	for range 2 {
		if err := v.Cursor(&c, mailbox.WantItems|mailbox.WantPrefix); err != nil {
			t.Fatal(err)
		}
		for _, uid := range []uint32{1, 2, 3, 7, 8, 8, 20, 49, 50, 51, 5, 6, 7, 1} {
			there, err := c.Move(uid)
			if gone := uid == 7 || uid >= n; err != nil || there == gone {
				t.Fatalf("UID %d is there: %v, %v", uid, there, err)
			} else if gone {
				continue
			}
			i := int(uid)
			prefix := ""
			if i%2 == 1 {
				prefix = "X-For: " + strings.Repeat("p", i) + "\r\n"
			}
			header := "Subject: " + strings.Repeat("s", i) + "\r\n\r\n"
			if c.Meta.UID != uid || c.Meta.SizeBytes != int64(len(prefix)+len(header)+6) || string(c.Items.Prefix) != prefix ||
				string(c.Items.Header) != header || !strings.Contains(string(c.Items.Envelope), strings.Repeat("s", i)) {
				t.Errorf("UID %d: %+v, %q, %q", uid, c.Meta, c.Items.Prefix, c.Items.Header)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

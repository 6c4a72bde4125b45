package mailbox_test

import (
	"errors"
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

// A cursor that reads later has the same to tell, piece by piece.
func TestCursorLater(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	in := box(t, account(t, s, "a@example"), "INBOX")
	long := "Subject: long\r\nX-Long: " + strings.Repeat("x", 70<<10) + "\r\n\r\n"
	texts := []string{"Subject: one\r\n\r\nbody\r\n", long + "body\r\n"}
	for _, body := range texts { // DeliverEach leaves the making of items to who asks
		d := mailbox.Delivery{Text: text(body), Targets: []mailbox.Target{{Mailbox: in, Prefix: []byte("X-For: a\r\n")}}}
		if err := s.DeliverEach(t.Context(), &d, &mailbox.Delivery{Text: text(body), Targets: []mailbox.Target{{Mailbox: in}}})[0]; err != nil {
			t.Fatal(err)
		}
	}
	v, err := in.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var c mailbox.Cursor
	for range 2 {
		if err := v.Cursor(&c, mailbox.WantItems|mailbox.WantPrefix|mailbox.WantLater); err != nil {
			t.Fatal(err)
		}
		for uid := uint32(1); uid <= 4; uid++ {
			if there, err := c.Move(uid); !there || err != nil {
				t.Fatal(uid, there, err)
			}
			if there, err := c.Header(); !there || err != nil {
				t.Fatal(uid, there, err)
			}
			body := texts[(uid-1)/2]
			header, _, _ := strings.Cut(body, "body")
			prefix := map[bool]string{true: "X-For: a\r\n"}[uid%2 == 1]
			if c.Items.Whole != (uid < 3) || !strings.HasPrefix(header, string(c.Items.Header)) || string(c.Items.Prefix) != prefix {
				t.Errorf("UID %d: %v, %.20q, %q", uid, c.Items.Whole, c.Items.Header, c.Items.Prefix)
			}
			if there, err := c.Structure(); !there || err != nil || c.Items.SizeBytes != int64(len(body)) || len(c.Items.Parts) != 1 {
				t.Errorf("UID %d: %v, %d octets, %d parts", uid, err, c.Items.SizeBytes, len(c.Items.Parts))
			}
		}
		var m mailbox.Message
		for uid := uint32(4); uid > 0; uid-- {
			if there, err := c.Move(uid); !there || err != nil {
				t.Fatal(uid, there, err)
			}
			if err := c.Message(&m); err != nil {
				t.Fatal(uid, err)
			}
			var got strings.Builder
			_, err := m.WriteTo(&got)
			m.Release()
			if want := map[bool]string{true: "X-For: a\r\n"}[uid%2 == 1] + texts[(uid-1)/2]; err != nil || got.String() != want {
				t.Errorf("UID %d: %v, %.40q", uid, err, got.String())
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A cursor does not see that a message goes; its text may be gone then.
func TestCursorGone(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	in := box(t, account(t, s, "a@example"), "INBOX")
	deliver(t, s, "Subject: a\r\n\r\nbody\r\n", in)
	v, err := in.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var c mailbox.Cursor
	if err := v.Cursor(&c, 0); err != nil {
		t.Fatal(err)
	}
	if there, err := c.Move(1); !there || err != nil {
		t.Fatal(there, err)
	}
	if _, err := in.Expunge(t.Context(), []mailbox.Range{{From: 1, To: 1}}, 0); err != nil {
		t.Fatal(err)
	}
	var m mailbox.Message
	if err := c.Message(&m); !errors.Is(err, mailbox.ErrNoMessage) {
		if err != nil {
			t.Fatal(err)
		}
		m.Release() // it was still there
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// What a cursor had read stays when it is detached, and it can be opened again.
func TestCursorDetach(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	in := box(t, account(t, s, "a@example"), "INBOX")
	deliver(t, s, "Subject: a\r\n\r\nbody\r\n", in)
	deliver(t, s, "Subject: other\r\n\r\nanother body\r\n", in)
	v, err := in.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var c mailbox.Cursor
	for range 2 {
		for uid, subject := range []string{1: "a", 2: "other"} {
			if uid == 0 {
				continue
			}
			if err := v.Cursor(&c, mailbox.WantItems|mailbox.WantPrefix); err != nil {
				t.Fatal(err)
			}
			if there, err := c.Move(uint32(uid)); !there || err != nil {
				t.Fatal(there, err)
			}
			for range 2 {
				if err := c.Detach(); err != nil {
					t.Fatal(err)
				}
				if string(c.Items.Header) != "Subject: "+subject+"\r\n\r\n" || !strings.Contains(string(c.Items.Envelope), `"`+subject+`"`) || len(c.Items.Parts) != 1 || c.Meta.UID != uint32(uid) {
					t.Errorf("UID %d: %q, %q, %d parts", uid, c.Items.Header, c.Items.Envelope, len(c.Items.Parts))
				}
			}
		}
	}
}

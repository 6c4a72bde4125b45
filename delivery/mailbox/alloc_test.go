//go:build !race

package mailbox_test

import (
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// allocs is the least of several counts: the index works in the background, and
// what it allocates is counted too.
func allocs(runs int, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for range 9 {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

func TestAllocations(t *testing.T) {
	o := small(vfs.NewMem())
	o.SegmentBytes, o.MemTableBytes = 8<<20, 16<<20
	s := open(t, o)
	defer closeStore(t, s)
	in := box(t, account(t, s, "a@example"), "INBOX")
	d := mailbox.Delivery{Text: letter(8 << 10), Targets: make([]mailbox.Target, 1)}
	n := int64(0)
	deliver := func() {
		n++
		d.Key = mail.MakeID(n, 1, 1, 1)
		d.Targets[0] = mailbox.Target{Mailbox: in, Prefix: prefix}
		if err := s.Deliver(t.Context(), &d); err != nil {
			t.Fatal(err)
		}
	}
	if got := allocs(200, deliver); got > 4 {
		t.Errorf("%v allocations a delivery", got)
	} else {
		t.Log(got, "allocations a delivery")
	}
	var msg mailbox.Message
	uid := uint32(0)
	read := func() {
		uid++
		if err := in.Message(uid, &msg); err != nil {
			t.Fatal(err)
		}
		if _, err := msg.WriteTo(io.Discard); err != nil {
			t.Fatal(err)
		}
		msg.Release()
	}
	if got := allocs(150, read); got > 0 {
		t.Errorf("%v allocations a message read", got)
	}
	v, err := in.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	seen := 0
	scan := func() {
		if err := v.Scan(1, 2000, func(*mailbox.Meta) bool { seen++; return true }); err != nil {
			t.Fatal(err)
		}
	}
	if got := allocs(1, scan); got > 50 || seen < 10_000 {
		t.Errorf("%v allocations to scan 2000 messages", got)
	}
	var items mailbox.Items
	id := mailbox.EmailID{}
	if err := v.Scan(1, 1, func(m *mailbox.Meta) bool { id = m.EmailID; return true }); err != nil {
		t.Fatal(err)
	}
	if err := v.Items(id, &items); err != nil || !strings.Contains(string(items.Envelope), "About the thing") || !items.Whole {
		t.Errorf("items %q, %v", items.Envelope, err)
	}
}

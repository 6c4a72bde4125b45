package mailbox_test

import (
	"os"
	"testing"

	"postrider/delivery/mailbox"
)

// One text serves all recipients of a message.
func TestSharedTextsTakeRoomOnce(t *testing.T) {
	used := func(recipients int) int64 {
		dir := t.TempDir()
		s, err := mailbox.Open(mailbox.Options{Dir: dir, SegmentBytes: 4 << 20, ReserveBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		boxes := users(t, s, recipients)
		body := letter(64 << 10)
		for range 20 {
			d := mailbox.Delivery{Text: body}
			for i, m := range boxes {
				d.Targets = append(d.Targets, mailbox.Target{Mailbox: m, Recipient: i, Prefix: prefix})
			}
			if err := s.Deliver(t.Context(), &d); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return s.LogBytes() + tree(t, dir+"/index")
	}
	one, ten := used(1), used(10)
	if float64(ten) > 1.3*float64(one) {
		t.Errorf("ten recipients take %d bytes, one %d", ten, one)
	}
	t.Logf("ten recipients take %d bytes, one %d", ten, one)
}

// tree is the size of the files in a folder.
func tree(t *testing.T, dir string) (n int64) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

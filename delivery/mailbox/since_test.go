package mailbox_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

// EachSince finds what was changed, wherever it lies.
func TestEachSince(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer closeStore(t, s)
	in := box(t, account(t, s, "a@example"), "INBOX")
	deliver(t, s, "Subject: x\r\n\r\n", in)
	for range 11 { // 2048 messages: more than one span of the array
		if _, err := in.Copy(t.Context(), all(), in); err != nil {
			t.Fatal(err)
		}
	}
	since := in.Status().HighestModSeq
	changed := []mailbox.Range{{From: 1, To: 1}, {From: 512, To: 514}, {From: 1500, To: 1500}, {From: 2048, To: 2048}}
	if _, err := in.Flags(t.Context(), changed, &mailbox.FlagChange{Flags: mailbox.FlagSeen}); err != nil {
		t.Fatal(err)
	}
	v, err := in.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, test := range []struct {
		from, to, most int
		since          uint64
		want           string
	}{
		{0, 2048, 9, since, "[1 512 513 514 1500 2048]"},
		{0, 9999, 2, since, "[1 512]"},
		{1, 2047, 9, since, "[512 513 514 1500]"},
		{512, 513, 9, since, "[513]"},
		{600, 700, 9, since, "[]"},
		{2047, 2048, 9, since, "[2048]"},
		{0, 2048, 9, since + 1, "[]"},
		{510, 515, 9, 0, "[511 512 513 514 515]"},
		{5, 5, 9, 0, "[]"},
		{9999, 10000, 9, 0, "[]"},
	} {
		got := []uint32{}
		v.EachSince(test.from, test.to, test.since, func(i int, e mailbox.Entry) bool {
			if v.At(i) != e {
				t.Errorf("index %d is not %v", i, e)
			}
			got = append(got, e.UID)
			return len(got) < test.most
		})
		if fmt.Sprint(got) != test.want {
			t.Errorf("%d to %d since %d: %v, want %s", test.from, test.to, test.since, got, test.want)
		}
	}
}

package mailbox_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

// text is a mail.Body in memory.
type text []byte

func (b text) Size() int64                             { return int64(len(b)) }
func (b text) Bytes() []byte                           { return b }
func (b text) Reader() io.Reader                       { return bytes.NewReader(b) }
func (b text) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(b).ReadAt(p, off) }

// small are options for tests: a store that fills its segments soon.
func small(fs vfs.FS) mailbox.Options {
	return mailbox.Options{FS: fs, Dir: "store", SegmentBytes: 256 << 10, ReserveBytes: -1, MemTableBytes: 256 << 10, CacheBytes: 1 << 20, Accounts: 8}
}

func open(t *testing.T, o mailbox.Options) *mailbox.Store {
	t.Helper()
	s, err := mailbox.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *mailbox.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func account(t *testing.T, s *mailbox.Store, name string) *mailbox.Account {
	t.Helper()
	a, err := s.CreateAccount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func box(t *testing.T, a *mailbox.Account, name string) *mailbox.Mailbox {
	t.Helper()
	m, err := a.Mailbox(name)
	if err != nil {
		t.Fatalf("mailbox %q: %v", name, err)
	}
	return m
}

// deliver files a text into mailboxes and returns the UIDs.
func deliver(t *testing.T, s *mailbox.Store, body string, to ...*mailbox.Mailbox) []uint32 {
	t.Helper()
	d := mailbox.Delivery{Text: text(body)}
	for i, m := range to {
		d.Targets = append(d.Targets, mailbox.Target{Mailbox: m, Recipient: i})
	}
	if err := s.Deliver(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	var uids []uint32
	for _, g := range d.Targets {
		if g.Err != nil {
			t.Fatal(g.Err)
		}
		uids = append(uids, g.UID)
	}
	return uids
}

// content reads a message.
func content(t *testing.T, m *mailbox.Mailbox, uid uint32) string {
	t.Helper()
	var msg mailbox.Message
	if err := m.Message(uid, &msg); err != nil {
		t.Fatalf("message %d: %v", uid, err)
	}
	defer msg.Release()
	var b bytes.Buffer
	if n, err := msg.WriteTo(&b); err != nil || n != msg.Size() || n != msg.SizeBytes {
		t.Fatalf("message %d: %d bytes of %d and %d, %v", uid, n, msg.Size(), msg.SizeBytes, err)
	}
	all := make([]byte, msg.Size())
	if n, err := msg.ReadAt(all, 0); n != len(all) || !bytes.Equal(all, b.Bytes()) {
		t.Fatalf("message %d: read %q, %v", uid, all, err)
	}
	if got, err := msg.Append([]byte("x")); err != nil || string(got[1:]) != b.String() {
		t.Fatalf("message %d: append %q, %v", uid, got, err)
	}
	return b.String()
}

// uids are those of a mailbox.
func uids(t *testing.T, m *mailbox.Mailbox) []uint32 {
	t.Helper()
	v, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var list []uint32
	for i := range v.Len() {
		list = append(list, v.At(i).UID)
	}
	return list
}

func all() []mailbox.Range { return []mailbox.Range{{From: 1, To: 1<<32 - 1}} }

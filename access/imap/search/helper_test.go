package search_test

import (
	"bytes"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/access/imap/search"
	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// text is a Delivery's body.
type text []byte

func (t text) Size() int64                             { return int64(len(t)) }
func (t text) Bytes() []byte                           { return t }
func (t text) Reader() io.Reader                       { return bytes.NewReader(t) }
func (t text) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(t).ReadAt(p, off) }

// now is what all tests take for the present.
var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// letter is a message to be filed.
type letter struct {
	text     string
	prefix   string
	flags    mailbox.Flags
	keywords []string
	received time.Time // zero: now
}

// world is a store in memory with an empty INBOX.
type world struct {
	store *mailbox.Store
	box   *mailbox.Mailbox
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := mailbox.Open(mailbox.Options{FS: vfs.NewMem(), Dir: "store", ReserveBytes: -1, CompactEvery: -1, SegmentBytes: 256 << 10, MemTableBytes: 2 << 20, CacheBytes: 16 << 20, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{s, inbox(t, s)}
}

// inbox returns the INBOX of the only account.
func inbox(t testing.TB, s *mailbox.Store) *mailbox.Mailbox {
	t.Helper()
	a, err := s.CreateAccount(t.Context(), "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	box, err := a.Mailbox("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// parseOrder parses an order.
func parseOrder(t testing.TB, order string) *search.Order {
	t.Helper()
	var d imapwire.Decoder
	d.Reset([]byte(order))
	o := &search.Order{}
	if err := o.Parse(&d); err != nil {
		t.Fatalf("%s: %v", order, err)
	}
	return o
}

// file files letters.
func (w *world) file(t testing.TB, letters ...letter) {
	t.Helper()
	var ds []*mailbox.Delivery
	for _, l := range letters {
		if l.received.IsZero() {
			l.received = now
		}
		ds = append(ds, &mailbox.Delivery{Text: text(l.text), Received: l.received, Targets: []mailbox.Target{
			{Mailbox: w.box, Prefix: []byte(l.prefix), Flags: l.flags, Keywords: l.keywords},
		}})
	}
	for _, err := range w.store.DeliverEach(t.Context(), ds...) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// view opens a view of the INBOX.
func (w *world) view(t testing.TB) *mailbox.View {
	t.Helper()
	v, err := w.box.View()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// found lists the message numbers that f stands for.
func found(f *search.Found) string {
	var b []byte
	f.Each(func(i uint32) {
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, uint64(i)+1, 10)
	})
	return string(b)
}

// parse parses a program.
func parse(t interface {
	Helper()
	Fatalf(string, ...any)
}, keys string) *search.Program {
	t.Helper()
	var d imapwire.Decoder
	d.Reset([]byte(keys))
	p := &search.Program{}
	if err := p.Parse(&d, nil); err != nil {
		t.Fatalf("%s: %v", keys, err)
	}
	return p
}

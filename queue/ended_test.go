package queue

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// The end of a message is told once, when its last recipient's is synced; until then
// the queue has it.
func TestEnded(t *testing.T) {
	var mu sync.Mutex
	var ended []mail.ID
	q := open(t, vfs.NewMem(), func(o *Options) {
		o.Ended = func(id mail.ID) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, id)
		}
	})
	id := put(t, q, "Subject: two\r\n\r\n", "a@x.example", "b@y.example")
	if other := mail.MakeID(id.Time().UnixMilli(), 0, 0, 1); !q.Issued(id) || q.Issued(other) {
		t.Errorf("issued here: %v %v, %v %v", id, q.Issued(id), other, q.Issued(other))
	}
	for _, domain := range []string{"x.example", "y.example"} {
		if has, err := q.Has(t.Context(), id); !has || err != nil {
			t.Errorf("before %s: %v, %v", domain, has, err)
		}
		mu.Lock()
		if len(ended) > 0 {
			t.Errorf("ended before %s", domain)
		}
		mu.Unlock()
		j := q.Lane("lane-"+domain).Next(t.Context(), time.Second, Lease{MaxRecipients: 10}, nil)
		if j == nil {
			t.Fatalf("nothing in the lane of %s", domain)
		}
		j.Settle(all(j, Delivered, time.Time{}))
	}
	if has, err := q.Has(t.Context(), id); has || err != nil {
		t.Errorf("after the end: %v, %v", has, err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 1 || ended[0] != id {
		t.Errorf("ended %v, want %v", ended, id)
	}
	if _, err := q.Has(t.Context(), id); err != nil && !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// A text is readable before its message is committed, unless it is in a file.
func TestTextOfADraft(t *testing.T) {
	q := open(t, vfs.NewMem())
	for size, inMemory := range map[int]bool{0: true, 100: true, 32 << 10: true, 32<<10 + 1: false} {
		d, err := q.NewDraft(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		text := d.Text()
		if (text != nil) != inMemory {
			t.Errorf("%d bytes: %v", size, text)
		}
		if text != nil {
			if b, err := io.ReadAll(text.Reader()); err != nil || len(b) != size || len(text.Bytes()) != size || text.Size() != int64(size) {
				t.Errorf("%d bytes: read %d of %d, %v", size, len(b), text.Size(), err)
			}
		}
		d.Abort()
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

package spool_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/internal/spool/frame"
)

// Two kinds: the first leaves the reserve to the second.
const (
	message = frame.Kind(1)
	settle  = frame.Kind(2)
)

// entry is a record as a test knows it.
type entry struct {
	kind frame.Kind
	id   mail.ID
	text string
}

// waiter is a Committer that keeps what it is told.
type waiter struct{ done chan *spool.Write }

func newWaiter() *waiter { return &waiter{done: make(chan *spool.Write, 1024)} }

func (w *waiter) Committed(wr *spool.Write) { w.done <- wr }

// put appends one record and waits for its end.
func put(s *spool.Spool, kind frame.Kind, id mail.ID, head, body []byte, lazy bool) *spool.Write {
	w := newWaiter()
	s.Append(&spool.Write{Kind: kind, Yields: kind == message, ID: id, Head: head, Body: body, Lazy: lazy, Committer: w})
	return <-w.done
}

// content returns n bytes that nothing else has: the id and random ones.
func content(id mail.ID, n int) []byte {
	rng := rand.New(rand.NewPCG(binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

// small are options with which a test meets every border soon.
func small(fs vfs.FS) spool.Options {
	return spool.Options{
		FS: fs, Dir: "spool", SegmentBytes: 32 << 10, Segments: 4, Node: 7,
		ReserveRecordBytes: -1, LazyDelay: time.Millisecond,
	}
}

func mustOpen(t testing.TB, o spool.Options, replay func(*spool.Recovered) error) *spool.Spool {
	t.Helper()
	s, err := spool.Open(o, replay)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t testing.TB, s *spool.Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// collect returns a replay function that appends to list what it is given.
func collect(list *[]entry) func(*spool.Recovered) error {
	return func(r *spool.Recovered) error {
		*list = append(*list, entry{r.Kind, r.ID, string(r.Payload)})
		return nil
	}
}

// TestReplay writes through several segments, reads each body back through the
// log, and gets everything again after a clean end and after a second one.
func TestReplay(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := small(fs)
	o.Segments = 8
	s := mustOpen(t, o, nil)
	var want []entry
	for i := range 200 {
		id := s.NextID()
		head, body := []byte(fmt.Sprintf("head %d", i)), content(id, i*7%900)
		w := put(s, frame.Kind(1+i%3), id, head, body, i%5 == 0)
		if w.Err != nil {
			t.Fatal(i, w.Err)
		}
		got := make([]byte, len(body))
		if _, err := s.ReadAt(got, w.LSN.Gen, w.BodyAt); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("record %d: read back %v, equal %v", i, err, bytes.Equal(got, body))
		}
		want = append(want, entry{w.Kind, id, string(head) + string(body)})
	}
	if s.Current() < 4 {
		t.Fatalf("only %d generations", s.Current())
	}
	for range 2 {
		mustClose(t, s)
		var got []entry
		s = mustOpen(t, o, collect(&got))
		if !slices.Equal(got, want) || !s.Recovery().Clean {
			t.Fatalf("replayed %d of %d, clean %v", len(got), len(want), s.Recovery().Clean)
		}
	}
	mustClose(t, s)
}

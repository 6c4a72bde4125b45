package record_test

import (
	"bytes"
	"errors"
	"testing"

	"postrider/queue/internal/record"
)

// known fails the test when err is none of the two that a parser may return.
func known(t *testing.T, err error) bool {
	if err != nil && !errors.Is(err, record.ErrMalformed) && !errors.Is(err, record.ErrVersion) {
		t.Fatal(err)
	}
	return err == nil
}

// FuzzMessage parses what may be a MSG; what parses must say the same when it is
// written again.
func FuzzMessage(f *testing.F) {
	f.Add(append(record.AppendMessageHead(nil, envelope(), record.BodyRef{Size: 2}), "hi"...))
	f.Add(record.AppendMessageHead(nil, envelope(), record.BodyRef{Large: []byte("f")}))
	f.Add([]byte{record.Version})
	var m, again record.Message
	f.Fuzz(func(t *testing.T, p []byte) {
		if !known(t, record.ParseMessage(p, &m)) {
			return
		}
		head := record.AppendMessageHead(nil, &m.Envelope, m.Body)
		if record.ParseMessage(append(head, m.Text...), &again) != nil || !same(&m.Envelope, &again.Envelope) ||
			!bytes.Equal(m.Text, again.Text) || m.Body.Size != again.Body.Size {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}

// FuzzSettle is FuzzMessage for SETTLE.
func FuzzSettle(f *testing.F) {
	f.Add(record.AppendSettle(nil, settle()))
	f.Add([]byte{record.Version, 1})
	var s, again record.Settle
	f.Fuzz(func(t *testing.T, p []byte) {
		if !known(t, record.ParseSettle(p, &s)) {
			return
		}
		q := record.AppendSettle(nil, &s)
		if record.ParseSettle(q, &again) != nil || !bytes.Equal(q, record.AppendSettle(nil, &again)) {
			t.Fatalf("%+v became %+v", s, again)
		}
	})
}

// FuzzAction is FuzzMessage for ACTION.
func FuzzAction(f *testing.F) {
	a := &record.Action{Reason: []byte("r"), Changes: []record.ActionChange{{Change: settle().Changes[1], Expected: 3}}}
	f.Add(record.AppendAction(nil, a))
	var got, again record.Action
	f.Fuzz(func(t *testing.T, p []byte) {
		if !known(t, record.ParseAction(p, &got)) {
			return
		}
		q := record.AppendAction(nil, &got)
		if record.ParseAction(q, &again) != nil || !bytes.Equal(q, record.AppendAction(nil, &again)) {
			t.Fatalf("%+v became %+v", got, again)
		}
	})
}

// FuzzFrame parses the headers that frame records, and the small files. Nothing
// but the seed corpus is likely to pass the checksums, which is the point; the
// fields behind them are still bounded for whoever can compute them.
func FuzzFrame(f *testing.F) {
	seed := record.NewSeed(record.UUID{}, 1, 1)
	group := make([]byte, record.GroupHeaderLen)
	record.PutGroupHeader(group, seed, 512, &record.GroupHeader{Gen: 1, Length: 500, Count: 3})
	f.Add(group)
	f.Add(record.Append(nil, seed, 512, &record.Header{Kind: record.KindSettle}, []byte("head"), nil))
	f.Add(record.AppendSegmentHeader(nil, &record.SegmentHeader{Gen: 1, Capacity: 1 << 20}))
	f.Add(record.AppendEpoch(nil, &record.Epoch{Boots: 1}))
	f.Add(record.AppendGaps(nil, []record.Gap{{Gen: 1}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		var gh record.GroupHeader
		if known(t, record.ParseGroupHeader(p, seed, 1, 512, &gh)) && gh.Length < record.GroupHeaderLen {
			t.Fatalf("%+v", gh)
		}
		var h record.Header
		if known(t, record.ParseHeader(p, seed, 512, &h)) {
			if h.Len() > int64(len(p)) {
				t.Fatalf("%+v of %d bytes", h, len(p))
			}
			_, err := h.Check(p, seed, 512)
			known(t, err)
		}
		known(t, record.ParseSegmentHeader(p, &record.SegmentHeader{}))
		known(t, record.ParseEpoch(p, &record.Epoch{}))
		_, err := record.ParseGaps(p)
		known(t, err)
	})
}

package frame_test

import (
	"errors"
	"testing"

	"postrider/internal/spool/frame"
)

// known fails the test when err is none of the two that a parser may return.
func known(t *testing.T, err error) bool {
	if err != nil && !errors.Is(err, frame.ErrMalformed) && !errors.Is(err, frame.ErrVersion) {
		t.Fatal(err)
	}
	return err == nil
}

// FuzzFrame parses the headers that frame records, and the small files. Nothing
// but the seed corpus is likely to pass the checksums, which is the point; the
// fields behind them are still bounded for whoever can compute them.
func FuzzFrame(f *testing.F) {
	seed := frame.NewSeed(frame.UUID{}, 1, 1)
	group := make([]byte, frame.GroupHeaderLen)
	frame.PutGroupHeader(group, seed, 512, &frame.GroupHeader{Gen: 1, Length: 500, Count: 3})
	f.Add(group)
	f.Add(frame.Append(nil, seed, 512, &frame.Header{Kind: 2}, []byte("head"), nil))
	f.Add(frame.AppendSegmentHeader(nil, &frame.SegmentHeader{Gen: 1, Capacity: 1 << 20}))
	f.Add(frame.AppendEpoch(nil, &frame.Epoch{Boots: 1}))
	f.Add(frame.AppendRemovals(nil, []frame.Removal{{First: 2, Last: 3, Prev: 1, PrevEnd: 512}}))
	f.Add(frame.AppendGaps(nil, []frame.Gap{{Gen: 1}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		var gh frame.GroupHeader
		if known(t, frame.ParseGroupHeader(p, seed, 1, 512, &gh)) && gh.Length < frame.GroupHeaderLen {
			t.Fatalf("%+v", gh)
		}
		var h frame.Header
		if known(t, frame.ParseHeader(p, seed, 512, &h)) {
			if h.Len() > int64(len(p)) {
				t.Fatalf("%+v of %d bytes", h, len(p))
			}
			_, err := h.Check(p, seed, 512)
			known(t, err)
		}
		known(t, frame.ParseSegmentHeader(p, &frame.SegmentHeader{}))
		known(t, frame.ParseEpoch(p, &frame.Epoch{}))
		_, err := frame.ParseGaps(p)
		known(t, err)
		_, err = frame.ParseRemovals(p)
		known(t, err)
	})
}

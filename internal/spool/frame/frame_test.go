package frame_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/internal/spool/frame"
)

// TestFrame checks that what frames records holds at its own place only, and that
// a flip of any bit of it is noticed.
//
// Covers G5.
func TestFrame(t *testing.T) {
	uuid := frame.UUID{1, 2, 3}
	seed := frame.NewSeed(uuid, 5, 9)
	head, body := []byte("the head"), []byte(strings.Repeat("body ", 9))
	h := frame.Header{Kind: frame.Kind(1), ID: mail.MakeID(1, 2, 3, 4), BodyCRC: frame.Sum(body)}
	rec := frame.Append(nil, seed, 584, &h, head, body)
	if int64(len(rec)) != h.Len() || len(rec)%frame.RecordAlign != 0 {
		t.Fatal(len(rec), h.Len())
	}
	check := func(p []byte, seed frame.Seed, off int64) bool {
		var h frame.Header
		if frame.ParseHeader(p, seed, off, &h) != nil {
			return false
		}
		payload, err := h.Check(p, seed, off)
		return err == nil && string(payload) == string(head)+string(body)
	}
	gh := frame.GroupHeader{Gen: 9, Sequence: 1, Synced: 512, Low: 8, TimeMS: 7, Length: 200, Count: 1}
	group := make([]byte, frame.GroupHeaderLen)
	frame.PutGroupHeader(group, seed, 512, &gh)
	checkGroup := func(p []byte, seed frame.Seed, off int64) bool {
		var got frame.GroupHeader
		return frame.ParseGroupHeader(p, seed, 9, off, &got) == nil && got == gh
	}
	if !check(rec, seed, 584) || !checkGroup(group, seed, 512) {
		t.Fatal("does not check at its own place")
	}
	for _, s := range []frame.Seed{frame.NewSeed(uuid, 5, 10), frame.NewSeed(uuid, 6, 9), frame.NewSeed(frame.UUID{}, 5, 9)} {
		if check(rec, s, 584) || checkGroup(group, s, 512) {
			t.Fatal("checks in another generation, epoch or store")
		}
	}
	for off := int64(0); off < 1<<20; off += frame.RecordAlign {
		if off != 584 && check(rec, seed, off) || off != 512 && checkGroup(group, seed, off) {
			t.Fatalf("checks at %d", off)
		}
	}
	flips(rec[:frame.RecordHeaderLen+len(head)+len(body)], func() bool { return check(rec, seed, 584) }, t)
	flips(group, func() bool { return checkGroup(group, seed, 512) }, t)
}

func flips(p []byte, ok func() bool, t *testing.T) {
	for i := range p {
		for bit := range 8 {
			p[i] ^= 1 << bit
			if ok() {
				t.Fatalf("bit %d of byte %d does not matter", bit, i)
			}
			p[i] ^= 1 << bit
		}
	}
}

func TestHeadersRoundTrip(t *testing.T) {
	sh := frame.SegmentHeader{
		UUID: frame.UUID{7}, Epoch: 1, Gen: 9, Low: 3, Prev: 8, PrevEnd: 1 << 20, Capacity: 64 << 20,
		TimeMS: 11, Logged: frame.LSN{Gen: 8, Off: 77},
	}
	p := frame.AppendSegmentHeader(nil, &sh)
	var sh2 frame.SegmentHeader
	if err := frame.ParseSegmentHeader(p, &sh2); err != nil || sh2 != sh || len(p) != frame.SegmentHeaderLen {
		t.Fatal(err, sh2)
	}
	e := frame.Epoch{
		Clean: true, Node: 9, Incarnation: 8, UUID: sh.UUID, Boots: 7, Reserved: 6, TimeMS: 5,
		End: frame.LSN{Gen: 4, Off: 3},
	}
	var e2 frame.Epoch
	if err := frame.ParseEpoch(frame.AppendEpoch(nil, &e), &e2); err != nil || e2 != e {
		t.Fatal(err, e2)
	}
	gaps := []frame.Gap{{Gen: 3}, {Gen: 4, Off: 512}}
	removals := []frame.Removal{{First: 3, Last: 4, Prev: 1, PrevEnd: 700}, {First: 7, Last: 7, Prev: 6, PrevEnd: 512}}
	if got, err := frame.ParseRemovals(frame.AppendRemovals(nil, removals)); err != nil || !reflect.DeepEqual(got, removals) {
		t.Fatal(err, got)
	}
	if got, err := frame.ParseGaps(frame.AppendGaps(nil, gaps)); err != nil || !reflect.DeepEqual(got, gaps) {
		t.Fatal(err, got)
	}
}

// TestNewerVersion raises the version byte of each layout, with checksums that
// hold: the parser says so and does not call it malformed.
//
// Covers G7.
func TestNewerVersion(t *testing.T) {
	newer := func(p []byte) []byte { p[0] = frame.Version + 1; return p }
	parsers := map[string]func() error{
		"segment": func() error {
			return frame.ParseSegmentHeader(newer(frame.AppendSegmentHeader(nil, &frame.SegmentHeader{})), &frame.SegmentHeader{})
		},
		"epoch": func() error {
			return frame.ParseEpoch(newer(frame.AppendEpoch(nil, &frame.Epoch{})), &frame.Epoch{})
		},
		"removed": func() error {
			_, err := frame.ParseRemovals(newer(frame.AppendRemovals(nil, nil)))
			return err
		},
		"gaps": func() error {
			_, err := frame.ParseGaps(newer(frame.AppendGaps(nil, nil)))
			return err
		},
	}
	for name, parse := range parsers {
		if err := parse(); !errors.Is(err, frame.ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllocs(t *testing.T) {
	buf := make([]byte, 0, 4096)
	head := make([]byte, 100)
	seed := frame.NewSeed(frame.UUID{}, 1, 1)
	if n := testing.AllocsPerRun(100, func() {
		h := frame.Header{Kind: 1}
		p := frame.Append(buf, seed, 512, &h, head, nil)
		if frame.ParseHeader(p, seed, 512, &h) != nil {
			t.Fatal("does not parse")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

package record_test

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
)

func envelope() *mail.Envelope {
	e := &mail.Envelope{
		ID: mail.MakeID(1_800_000_000_123, 3, 0xdeadbeef, 42), ArrivedMicro: 1_800_000_000_123_456,
		SizeBytes: 4096, EightBit: true, SMTPUTF8: true, RequireTLS: true, TLSWaived: true, Foreign: true, Return: mail.ReturnHeaders,
		Client: netip.MustParseAddr("2001:db8::25"), Session: math.MaxUint64,
	}
	e.Sender, e.EnvelopeID = e.KeepString("a@example.org"), e.KeepString("QQ314159")
	e.Helo, e.Listener = e.KeepString("client.example"), e.KeepString("[::1]:25")
	e.Protocol, e.TLS, e.User = e.KeepString("ESMTPSA"), e.KeepString("1.3"), e.KeepString("a")
	e.AddRecipient([]byte("b@example.net"), mail.NotifyFailure|mail.NotifyDelay, []byte("rfc822;b+40x"))
	e.AddRecipient([]byte("postmaster"), mail.NotifyNever, nil)
	return e
}

func settle() *record.Settle {
	return &record.Settle{
		ID: mail.MakeID(1, 2, 3, 4),
		Changes: []record.Change{
			{Recipient: 0, Version: 1, State: 8},
			{
				Recipient: math.MaxUint32, Version: math.MaxUint32, State: 255, Flags: 255,
				Attempts: math.MaxUint16, DueUnixMilli: math.MinInt64, Code: 599,
				Enhanced: mail.Enhanced{Class: 5, Subject: 999, Detail: 999}, Text: []byte("no such user"),
			},
		},
	}
}

// same compares what two envelopes say, not their arenas.
func same(a, b *mail.Envelope) bool {
	return bytes.Equal(record.AppendMessageHead(nil, a, record.BodyRef{}), record.AppendMessageHead(nil, b, record.BodyRef{}))
}

func TestMessageRoundTrip(t *testing.T) {
	text := []byte("Subject: x\r\n\r\nhello\r\n")
	var m record.Message
	for _, client := range []string{"192.0.2.1", "2001:db8::25", ""} {
		for _, large := range []string{"", "large-000017.msg"} {
			e := envelope()
			e.Client, _ = netip.ParseAddr(client)
			ref := record.BodyRef{Size: int64(len(text)), CRC: record.Sum(text), Large: []byte(large)}
			payload := record.AppendMessageHead([]byte("x"), e, ref)[1:]
			n := len(payload)
			if large == "" {
				payload = append(payload, text...)
			}
			if err := record.ParseMessage(payload, &m); err != nil {
				t.Fatal(err)
			}
			if !same(&m.Envelope, e) || m.Envelope.ID != e.ID || m.Envelope.Client != e.Client ||
				!reflect.DeepEqual(m.Envelope.Recipients, e.Recipients) || m.HeadLen != n ||
				m.Body.CRC != ref.CRC || m.Body.Size != ref.Size || string(m.Body.Large) != large {
				t.Fatalf("%+v became %+v", e, m)
			}
			if large == "" && !bytes.Equal(m.Text, text) {
				t.Fatalf("text became %q", m.Text)
			}
			for cut := range payload {
				if err := record.ParseMessage(payload[:cut], &m); !errors.Is(err, record.ErrMalformed) {
					t.Fatalf("cut at %d of %d: %v", cut, len(payload), err)
				}
			}
		}
	}
}

func TestSettleAndActionRoundTrip(t *testing.T) {
	for _, embedded := range [][]byte{nil, append(record.AppendMessageHead(nil, envelope(), record.BodyRef{Size: 2}), "hi"...)} {
		want := settle()
		want.Embedded = embedded
		var got record.Settle
		payload := record.AppendSettle(nil, want)
		if err := record.ParseSettle(payload, &got); err != nil || !reflect.DeepEqual(&got, want) {
			t.Fatalf("%v: %+v became %+v", err, want, got)
		}
	}
	want := &record.Action{ID: mail.MakeID(9, 9, 9, 9), Reason: []byte("operator")}
	for _, ch := range settle().Changes {
		want.Changes = append(want.Changes, record.ActionChange{Change: ch, Expected: ch.Version / 2})
	}
	var got record.Action
	payload := record.AppendAction(nil, want)
	if err := record.ParseAction(payload, &got); err != nil || !reflect.DeepEqual(&got, want) {
		t.Fatalf("%v: %+v became %+v", err, want, got)
	}
	for cut := range payload {
		if err := record.ParseAction(payload[:cut], &got); !errors.Is(err, record.ErrMalformed) {
			t.Fatalf("cut at %d of %d: %v", cut, len(payload), err)
		}
	}
}

// TestNewerVersion raises the version byte of each layout, with checksums that
// hold: the parser says so and does not call it malformed.
//
// Covers G7.
func TestNewerVersion(t *testing.T) {
	newer := func(p []byte) []byte { p[0] = record.Version + 1; return p }
	parsers := map[string]func() error{
		"MSG": func() error {
			return record.ParseMessage(newer(record.AppendMessageHead(nil, envelope(), record.BodyRef{})), &record.Message{})
		},
		"SETTLE": func() error {
			return record.ParseSettle(newer(record.AppendSettle(nil, settle())), &record.Settle{})
		},
		"ACTION": func() error {
			return record.ParseAction(newer(record.AppendAction(nil, &record.Action{})), &record.Action{})
		},
		"segment": func() error {
			return record.ParseSegmentHeader(newer(record.AppendSegmentHeader(nil, &record.SegmentHeader{})), &record.SegmentHeader{})
		},
		"epoch": func() error {
			return record.ParseEpoch(newer(record.AppendEpoch(nil, &record.Epoch{})), &record.Epoch{})
		},
		"gaps": func() error {
			_, err := record.ParseGaps(newer(record.AppendGaps(nil, nil)))
			return err
		},
	}
	for name, parse := range parsers {
		if err := parse(); !errors.Is(err, record.ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFrame checks that what frames records holds at its own place only, and that
// a flip of any bit of it is noticed.
//
// Covers G5.
func TestFrame(t *testing.T) {
	uuid := record.UUID{1, 2, 3}
	seed := record.NewSeed(uuid, 5, 9)
	head, body := []byte("the head"), []byte(strings.Repeat("body ", 9))
	h := record.Header{Kind: record.KindMessage, ID: mail.MakeID(1, 2, 3, 4), BodyCRC: record.Sum(body)}
	rec := record.Append(nil, seed, 584, &h, head, body)
	if int64(len(rec)) != h.Len() || len(rec)%record.RecordAlign != 0 {
		t.Fatal(len(rec), h.Len())
	}
	check := func(p []byte, seed record.Seed, off int64) bool {
		var h record.Header
		if record.ParseHeader(p, seed, off, &h) != nil {
			return false
		}
		payload, err := h.Check(p, seed, off)
		return err == nil && string(payload) == string(head)+string(body)
	}
	gh := record.GroupHeader{Gen: 9, Sequence: 1, Synced: 512, Low: 8, TimeMS: 7, Length: 200, Count: 1}
	group := make([]byte, record.GroupHeaderLen)
	record.PutGroupHeader(group, seed, 512, &gh)
	checkGroup := func(p []byte, seed record.Seed, off int64) bool {
		var got record.GroupHeader
		return record.ParseGroupHeader(p, seed, 9, off, &got) == nil && got == gh
	}
	if !check(rec, seed, 584) || !checkGroup(group, seed, 512) {
		t.Fatal("does not check at its own place")
	}
	for _, s := range []record.Seed{record.NewSeed(uuid, 5, 10), record.NewSeed(uuid, 6, 9), record.NewSeed(record.UUID{}, 5, 9)} {
		if check(rec, s, 584) || checkGroup(group, s, 512) {
			t.Fatal("checks in another generation, epoch or store")
		}
	}
	for off := int64(0); off < 1<<20; off += record.RecordAlign {
		if off != 584 && check(rec, seed, off) || off != 512 && checkGroup(group, seed, off) {
			t.Fatalf("checks at %d", off)
		}
	}
	flips(rec[:record.RecordHeaderLen+len(head)+len(body)], func() bool { return check(rec, seed, 584) }, t)
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
	sh := record.SegmentHeader{
		UUID: record.UUID{7}, Epoch: 1, Gen: 9, Low: 3, Prev: 8, PrevEnd: 1 << 20, Capacity: 64 << 20,
		TimeMS: 11, Logged: record.LSN{Gen: 8, Off: 77},
	}
	p := record.AppendSegmentHeader(nil, &sh)
	var sh2 record.SegmentHeader
	if err := record.ParseSegmentHeader(p, &sh2); err != nil || sh2 != sh || len(p) != record.SegmentHeaderLen {
		t.Fatal(err, sh2)
	}
	e := record.Epoch{
		Clean: true, Node: 9, Incarnation: 8, UUID: sh.UUID, Boots: 7, Reserved: 6, TimeMS: 5,
		End: record.LSN{Gen: 4, Off: 3},
	}
	var e2 record.Epoch
	if err := record.ParseEpoch(record.AppendEpoch(nil, &e), &e2); err != nil || e2 != e {
		t.Fatal(err, e2)
	}
	gaps := []record.Gap{{Gen: 3}, {Gen: 4, Off: 512}}
	if got, err := record.ParseGaps(record.AppendGaps(nil, gaps)); err != nil || !reflect.DeepEqual(got, gaps) {
		t.Fatal(err, got)
	}
}

func TestAllocs(t *testing.T) {
	e, s := envelope(), settle()
	buf := make([]byte, 0, 4096)
	var m record.Message
	var st record.Settle
	seed := record.NewSeed(record.UUID{}, 1, 1)
	if n := testing.AllocsPerRun(100, func() {
		head := record.AppendMessageHead(buf[:0], e, record.BodyRef{})
		h := record.Header{Kind: record.KindMessage, ID: e.ID}
		record.Append(head, seed, 512, &h, head, nil)
		if record.ParseMessage(head, &m) != nil {
			t.Fatal("does not parse")
		}
		if record.ParseSettle(record.AppendSettle(buf[:0], s), &st) != nil {
			t.Fatal("does not parse")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

package record_test

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"reflect"
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
	}
	for name, parse := range parsers {
		if err := parse(); !errors.Is(err, record.ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllocs(t *testing.T) {
	e, s := envelope(), settle()
	buf := make([]byte, 0, 4096)
	var m record.Message
	var st record.Settle
	if n := testing.AllocsPerRun(100, func() {
		head := record.AppendMessageHead(buf[:0], e, record.BodyRef{})
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

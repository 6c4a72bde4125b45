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

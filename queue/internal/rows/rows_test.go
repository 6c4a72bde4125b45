package rows

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"postrider/internal/mail"
)

func FuzzParseRecipient(f *testing.F) {
	f.Add(AppendRecipient(nil, &Recipient{}))
	f.Add(AppendRecipient(nil, &Recipient{
		State: 3, Flags: 1, Version: math.MaxUint32, Attempts: math.MaxUint16, DueUnixMilli: -1, Code: 450,
		Enhanced: mail.Enhanced{Class: 4, Subject: 999, Detail: 1}, Text: []byte("text"), Domain: []byte("a.example"),
		Flow: []byte("customer"), Via: []byte("way"), Band: 3,
	}))
	f.Fuzz(func(t *testing.T, value []byte) {
		var r, again Recipient
		if ParseRecipient(value, &r) != nil {
			return
		}
		b := AppendRecipient(nil, &r)
		if err := ParseRecipient(b, &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(AppendRecipient(nil, &again), b) {
			t.Errorf("%+v became %+v", r, again)
		}
	})
}

// A recipient's row of version 1 is read; it names no flow, way or band.
func TestFirstVersionOfRows(t *testing.T) {
	b := AppendRecipient(nil, &Recipient{State: 3, Version: 7, Code: 450, Text: []byte("text"), Domain: []byte("a.example")})
	b[0] = 1
	r := Recipient{Flow: []byte("old"), Band: 1}
	if err := ParseRecipient(b[:len(b)-3], &r); err != nil || r.State != 3 || r.Version != 7 || string(r.Text) != "text" || len(r.Flow)+len(r.Via)+int(r.Band) != 0 {
		t.Errorf("%+v: %v", r, err)
	}
	if err := ParseRecipient(b, &r); !errors.Is(err, ErrMalformed) {
		t.Errorf("with more behind it: %v", err)
	}
}

// Covers G7.
func TestNewerRowsAreRefused(t *testing.T) {
	newer := append([]byte{Version + 1}, AppendRecipient(nil, &Recipient{})[1:]...)
	var r Recipient
	if err := ParseRecipient(newer, &r); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if _, _, err := ParseApplied([]byte{Version + 1, 1, 1}); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if _, _, _, err := ParseCold(Cold(nil, 1), []byte{Version + 1, 1, 1}); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
}

func TestSmallRows(t *testing.T) {
	if g, o, err := ParseApplied(AppendApplied(nil, 7, 1<<40)); g != 7 || o != 1<<40 || err != nil {
		t.Error(g, o, err)
	}
	if n, total, dead, err := ParseCold(Cold(nil, 9), AppendCounters(nil, 1<<33, 5)); n != 9 || total != 1<<33 || dead != 5 || err != nil {
		t.Error(n, total, dead, err)
	}
	for _, l := range []Location{{Large: true}, {}, {Segment: math.MaxUint32, Offset: math.MaxInt64}} {
		b := AppendLocation(nil, l)
		if got, err := ParseLocation(b); got != l || err != nil {
			t.Error(got, err)
		}
		if _, err := ParseLocation(b[:len(b)-1]); err == nil && l.Segment > 0 {
			t.Error("a short location parses")
		}
	}
}

// Keys sort by id, then recipient, and those of a prefix lie between it and After.
func TestKeysSort(t *testing.T) {
	a, b := mail.MakeID(1, 0, 0, 9), mail.MakeID(2, 0, 0, 0)
	keys := [][]byte{
		RecipientKey(nil, a, 0), RecipientKey(nil, a, 255), RecipientKey(nil, a, 256), RecipientKey(nil, b, 0),
	}
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Error("not sorted")
	}
	p := DomainPrefix(nil, []byte("A.example"))
	k := WithRecipient(slices.Clone(p), a, 3)
	if id, rcpt, ok := SplitRecipient(k); id != a || rcpt != 3 || !ok || !bytes.HasPrefix(k, []byte("da.example\x00")) {
		t.Errorf("%q", k)
	}
	if bytes.Compare(k, p) < 0 || bytes.Compare(k, After(nil, p)) >= 0 {
		t.Error("a key lies outside of its prefix")
	}
	if After(nil, []byte{0xff, 0xff}) != nil || !bytes.Equal(After(nil, []byte{1, 0xff}), []byte{2}) {
		t.Error("After is wrong at the end of a byte")
	}
	if Tag([]byte("U@A.example")) != Tag([]byte("u@a.example")) || !TagFits(AppendTag(nil, Tag(nil)), Tag(nil)) {
		t.Error("tags do not fold case")
	}
}

package record

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"postrider/internal/mail"
)

// every is a change with a part of each kind.
func every() []byte {
	b := Box{7, 9}
	p := AppendHead(nil, true)
	p = AppendBlob(p, &Blob{ID: 1 << 60, Size: 70_000, CRC: 5, Where: Large})
	p = AppendEntry(p, &Entry{Box: b, UID: 3, Flags: 0xffffffff, More: 1 << 63, ModSeq: 12, Blob: 1 << 60, Variant: 2, Size: 70_010, Received: -5, Saved: 1 << 33, Prefix: []byte("X: y\r\n"), UIDL: []byte("abc")})
	p = AppendKey(p, &Key{Box: b, ID: mail.MakeID(1, 2, 3, 4), Recipient: 1, UID: 3})
	p = AppendMailbox(p, &Mailbox{Box: b, Version: 2, Deleted: true, UIDValidity: 77, Attributes: 3, Name: []byte("Work/a")})
	p = AppendState(p, &State{Box: b, UIDNext: 4, HighestModSeq: 12, Floor: 2, RecentFrom: 3})
	p = AppendKeyword(p, &Keyword{Box: b, Slot: 90, Name: []byte("$Junk")})
	p = AppendAccount(p, &Account{ID: 7, Version: 3, Deleted: true, LimitBytes: 1 << 40, LimitMessages: 5, LastValidity: 78, NextMailbox: 10, Name: []byte("a@example")})
	p = AppendSubscriptions(p, 7, 4, []string{"INBOX", ""})
	p = AppendForget(p, []mail.ID{mail.MakeID(1, 2, 3, 4), mail.MakeID(5, 6, 7, 8)})
	p = AppendMetadata(p, b, 5, []Note{{[]byte("/private/comment"), 4, true, []byte("a\x00b")}, {[]byte("/shared/x"), 5, false, nil}})
	var w RunsWriter
	w.BeginFlags(p, b, 13)
	w.Add(Run{From: 1, To: 1, Flags: 9, More: 2})
	w.Add(Run{From: 5, To: 1<<32 - 1, Flags: 8})
	p = w.End()
	w.BeginExpunge(p, b, 14)
	w.Add(Run{From: 2, To: 4})
	return w.End()
}

// rewrite reads a change and writes it again.
func rewrite(p []byte) ([]byte, error) {
	var r Reader
	if err := r.Reset(p); err != nil {
		return nil, err
	}
	out := AppendHead(nil, r.Copied)
	for {
		var part Part
		more, err := r.Next(&part)
		if !more || err != nil {
			return out, err
		}
		out = rewritePart(out, &part)
	}
}

func rewritePart(out []byte, part *Part) []byte {
	switch part.Kind {
	case KindBlob:
		return AppendBlob(out, &part.Blob)
	case KindEntry:
		return AppendEntry(out, &part.Entry)
	case KindKey:
		return AppendKey(out, &part.Key)
	case KindFlags, KindExpunge:
		var w RunsWriter
		if part.Kind == KindFlags {
			w.BeginFlags(out, part.Box, part.ModSeq)
		} else {
			w.BeginExpunge(out, part.Box, part.ModSeq)
		}
		var run Run
		for part.Runs.Next(&run) {
			w.Add(run)
		}
		return w.End()
	case KindMailbox:
		return AppendMailbox(out, &part.Mailbox)
	case KindState:
		return AppendState(out, &part.State)
	case KindKeyword:
		return AppendKeyword(out, &part.Keyword)
	case KindAccount:
		return AppendAccount(out, &part.Account)
	case KindSubscriptions:
		var names []string
		for part.List.Len() > 0 {
			names = append(names, string(part.List.Name()))
		}
		return AppendSubscriptions(out, part.ID, part.Version, names)
	case KindForget:
		var ids []mail.ID
		for id, ok := part.List.ID(); ok; id, ok = part.List.ID() {
			ids = append(ids, id)
		}
		return AppendForget(out, ids)
	case KindMetadata:
		var notes []Note
		for n := (Note{}); part.Notes.Next(&n); {
			notes = append(notes, n)
		}
		return AppendMetadata(out, part.Box, part.Version, notes)
	}
	return append(out, fmt.Sprint("unknown part ", part.Kind)...)
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := every()
	got, err := rewrite(want)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\n%x\n%x", err, got, want)
	}
	for n := range want { // a change that was cut is refused, or ends between two parts
		if cut, err := rewrite(want[:n]); err == nil && !bytes.Equal(cut, want[:n]) {
			t.Errorf("cut at %d it reads as %x", n, cut)
		}
	}
	var r Reader
	if err := r.Reset([]byte{Version + 1, 0}); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if err := r.Reset(nil); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(every())
	f.Add([]byte{1, 0, byte(KindForget), 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, p []byte) {
		once, err := rewrite(p)
		if err != nil {
			return
		}
		twice, err := rewrite(once)
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%v\n%x\n%x", err, once, twice)
		}
	})
}

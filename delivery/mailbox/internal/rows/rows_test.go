package rows

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"postrider/delivery/mailbox/internal/record"
)

func TestValuesRoundTrip(t *testing.T) {
	entry := Entry{1, 2, 3, 4, 5, 6, 7, true, -8, 9}
	if p := AppendEntry(nil, &entry); len(p) != EntryLen {
		t.Error(len(p))
	} else if flags, more, modSeq, ok := EntryMarks(p); flags != 1 || more != 2 || modSeq != 3 || !ok {
		t.Error(flags, more, modSeq, ok)
	}
	trip(t, entry, AppendEntry, ParseEntry)
	trip(t, Blob{true, 1, 2, 3, 4, 5}, AppendBlob, ParseBlob)
	trip(t, Status{1, 2, 3, 4, 5, 6, 7, 8, 9}, AppendStatus, ParseStatus)
	trip(t, Account{1, true, 2, 3, 4, 5, 6, 7, "a@example"}, AppendAccount, ParseAccount)
	trip(t, Mailbox{1, true, 2, 3, "Work"}, AppendMailbox, ParseMailbox)
	trip(t, Marks{1, 2, 3}, AppendMarks, ParseMarks)
	v, names, err := ParseNames(AppendNames(nil, 9, []string{"a", "", "b"}))
	if v != 9 || !slices.Equal(names, []string{"a", "", "b"}) || err != nil {
		t.Error(v, names, err)
	}
	prefix, uidl, err := ParseHead(AppendHead(nil, []byte("X: y\r\n"), []byte("id")))
	if string(prefix) != "X: y\r\n" || string(uidl) != "id" || err != nil {
		t.Error(prefix, uidl, err)
	}
}

// trip writes and reads a value, and sees that no shorter one is taken for it.
func trip[T any](t *testing.T, want T, appendTo func([]byte, *T) []byte, parse func([]byte, *T) error) {
	t.Helper()
	p := appendTo(nil, &want)
	var got T
	if err := parse(p, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for n := range p {
		if err := parse(p[:n], &got); err == nil && bytes.Equal(appendTo(nil, &got), p) {
			t.Errorf("%T cut at %d of %d reads as the whole", want, n, len(p))
		}
	}
	p[0]++
	if parse(p, &got) == nil {
		t.Errorf("%T of another version is read", want)
	}
}

func FuzzValues(f *testing.F) {
	f.Add(AppendEntry(nil, &Entry{}))
	f.Add(AppendHead(nil, []byte("x"), []byte("y")))
	f.Add(AppendNames(nil, 1, []string{"a", "b"}))
	f.Add(AppendMetadata(nil, 1, []record.Note{{Name: []byte("/private/a"), Version: 1, There: true, Value: []byte("b")}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		prefix, uidl, err := ParseHead(p)
		if err == nil && len(prefix)+len(uidl) > len(p) {
			t.Error("longer than the value")
		}
		v, names, err := ParseNames(p)
		if err == nil {
			if w, again, err := ParseNames(AppendNames(nil, v, names)); w != v || !slices.Equal(again, names) || err != nil {
				t.Error(w, again, err)
			}
		}
		version, notes, err := ParseMetadata(p)
		if err == nil {
			var list []record.Note
			for n := (record.Note{}); notes.Next(&n); {
				list = append(list, n)
			}
			if w, _, err := ParseMetadata(AppendMetadata(nil, version, list)); w != version || err != nil {
				t.Error(w, err)
			}
		}
		_ = Ranges(p, func(_, _ uint32) {})
	})
}

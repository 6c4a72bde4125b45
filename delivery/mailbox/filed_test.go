package mailbox

import (
	"testing"

	"postrider/delivery/mailbox/internal/record"
	"postrider/internal/mail"
)

func TestFiledKnowsOrAsks(t *testing.T) {
	var f filed
	id := func(n int) mail.ID { return mail.MakeID(int64(n), 1, 1, 1) }
	key := func(n int, recipient uint32) *record.Key {
		return &record.Key{ID: id(n), Recipient: recipient, Box: record.Box{Account: 1, Mailbox: 2}}
	}
	f.add(key(1, 7))
	f.add(key(1, 7)) // once more in a replay
	f.add(key(2, 0))
	f.add(key(2, 1))
	if !f.may(id(1)) || !f.may(id(2)) || f.may(id(3)) {
		t.Error("does not know what it was told")
	}
	if k, known, exact := f.take(id(1)); !known || !exact || k.recipient != 7 || k.box.Mailbox != 2 {
		t.Error(k, known, exact)
	}
	if _, known, exact := f.take(id(2)); !known || exact {
		t.Error("two keys count as one")
	}
	if _, known, exact := f.take(id(1)); known || !exact {
		t.Error("a key that is gone is still looked for")
	}
	for n := range maxFiled + 1 {
		f.add(key(n+10, 0))
	}
	if !f.may(id(1)) {
		t.Error("knows all of too many")
	}
	if _, _, exact := f.take(id(maxFiled + 10)); exact {
		t.Error("one that did not fit counts as not there")
	}
	if _, known, exact := f.take(id(10)); !known || !exact {
		t.Error("one that is known alone is not exact")
	}
	f.add(key(5, 0)) // it may have another key, from when there was no room
	if _, known, exact := f.take(id(5)); !known || exact {
		t.Error("one from later counts as the only one")
	}
}

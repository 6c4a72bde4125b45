package mailbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

func TestMetadata(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer func() { closeStore(t, s) }()
	a := account(t, s, "a@example")
	in := box(t, a, "INBOX")
	told := 0
	stop := a.Watch(func(*mailbox.Mailbox) { told++ })
	set := func(f func(mailbox.Metadata) error, name, value string) error {
		c := mailbox.Metadata{Name: name, Value: []byte(value)}
		if value == "" {
			c.Value = nil
		}
		return f(c)
	}
	ofBox := func(c mailbox.Metadata) error { return in.SetMetadata(t.Context(), []mailbox.Metadata{c}) }
	ofAccount := func(c mailbox.Metadata) error { return a.SetMetadata(t.Context(), []mailbox.Metadata{c}) }
	for _, step := range []struct {
		of          func(mailbox.Metadata) error
		name, value string
	}{
		{ofBox, "/private/b", "1"}, {ofBox, "/private/a", "2"}, {ofBox, "/private/a", "2"}, {ofBox, "/private/none", ""},
		{ofBox, "/private/b", ""}, {ofAccount, "/shared/c", "\x00\r\n"},
	} {
		if err := set(step.of, step.name, step.value); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	stop()
	want := `3 /private/a="2"@2 /private/b=""@3 gone 1 /shared/c="\x00\r\n"@1`
	show := func() string {
		return notes(t, in.MetadataVersion(), in.Metadata) + " " + notes(t, a.MetadataVersion(), a.Metadata)
	}
	if got := show(); got != want {
		t.Errorf("metadata %s, want %s", got, want)
	}
	if told != 4 { // what changes nothing is not told
		t.Errorf("told %d times", told)
	}
	if err := set(ofBox, "/private/large", strings.Repeat("x", mailbox.MaxMetadataBytes+1)); !errors.Is(err, mailbox.ErrMetadata) {
		t.Errorf("too large: %v", err)
	}
	var many []mailbox.Metadata
	for i := range mailbox.MaxMetadataEntries {
		many = append(many, mailbox.Metadata{Name: fmt.Sprint("/private/", i), Value: []byte("x")})
	}
	if err := in.SetMetadata(t.Context(), many); !errors.Is(err, mailbox.ErrTooMany) {
		t.Errorf("too many: %v", err)
	}
	big := bytes.Repeat([]byte("x"), mailbox.MaxMetadataBytes)
	if err := in.SetMetadata(t.Context(), []mailbox.Metadata{{Name: "/a", Value: big}, {Name: "/b", Value: big}}); !errors.Is(err, mailbox.ErrTooMany) {
		t.Errorf("too much: %v", err)
	}
	if got := show(); got != want {
		t.Errorf("metadata %s after what was refused, want %s", got, want)
	}
}

// What was removed is remembered for a while, and not for ever.
func TestMetadataForgetsRemovals(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	defer func() { closeStore(t, s) }()
	a := account(t, s, "a@example")
	for i := range 2 * mailbox.MaxMetadataEntries {
		for _, v := range [][]byte{{}, nil} {
			if err := a.SetMetadata(t.Context(), []mailbox.Metadata{{Name: fmt.Sprint("/private/", i), Value: v}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := a.Metadata(nil)
	if err != nil || len(list) != mailbox.MaxMetadataEntries {
		t.Errorf("%d entries, %v", len(list), err)
	}
}

func TestFurnish(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs))
	a := account(t, s, "a@example")
	if _, err := a.Create(t.Context(), "Wastebasket", mailbox.UseTrash); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Create(t.Context(), "sent", 0); err != nil {
		t.Fatal(err)
	}
	boxes := []mailbox.Info{
		{Name: "Drafts", Attributes: mailbox.UseDrafts}, {Name: "Sent", Attributes: mailbox.UseSent}, {Name: "Trash", Attributes: mailbox.UseTrash},
	}
	show := func() string {
		var b strings.Builder
		for _, i := range a.Mailboxes(nil) {
			fmt.Fprintf(&b, "%s %d %v, ", i.Name, i.Attributes, i.Subscribed)
		}
		return b.String()
	}
	for range 2 {
		if err := a.Furnish(t.Context(), boxes); err != nil {
			t.Fatal(err)
		}
		if got, want := show(), "Drafts 4 true, INBOX 0 true, Wastebasket 64 false, sent 32 true, "; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	// What the user deletes stays away, also in another life of the process.
	if err := a.Delete(t.Context(), "Drafts"); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = open(t, small(fs))
	defer func() { closeStore(t, s) }()
	a = account(t, s, "a@example")
	if err := a.Furnish(t.Context(), boxes); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(a.Mailboxes(nil), func(i mailbox.Info) bool { return i.Name == "Drafts" }) {
		t.Error("a deleted mailbox came back")
	}
}

package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
)

// source has one folder of texts.
type source struct {
	folder   transfer.Folder
	messages []transfer.Message
	texts    []string
}

func (s *source) Origin() string { return "test" }

func (s *source) Folders(context.Context) ([]transfer.Folder, error) {
	return []transfer.Folder{s.folder}, nil
}

func (s *source) add(m transfer.Message, text string) {
	m.Key, m.Name = fmt.Sprint(len(s.texts)), fmt.Sprint("message ", len(s.texts))
	s.messages, s.texts = append(s.messages, m), append(s.texts, text)
}

func (s *source) Messages(_ context.Context, _ *transfer.Folder, want func([]*transfer.Message) ([]bool, error)) iter.Seq2[*transfer.Message, error] {
	return func(yield func(*transfer.Message, error) bool) {
		for i := range s.messages {
			m := s.messages[i]
			wanted, err := want([]*transfer.Message{&m})
			if err != nil {
				yield(nil, err)
				return
			}
			m.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s.texts[i])), nil }
			if wanted[0] && !yield(&m, nil) {
				return
			}
		}
	}
}

func openLocal(t *testing.T) transfer.Local {
	t.Helper()
	s, err := mailbox.Open(mailbox.Options{FS: vfs.NewMem(), Dir: "store", SegmentBytes: 1 << 20, ReserveBytes: -1, MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return transfer.Local{Store: s}
}

func run(t *testing.T, s *source, to transfer.Store) (transfer.Report, []string) {
	t.Helper()
	var failed []string
	i := transfer.Import{From: s, To: to, Account: "user@example.test", Failed: func(name string, err error) { failed = append(failed, name+": "+err.Error()) }}
	report, err := i.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report, failed
}

// all returns what a mailbox holds, with the texts.
func all(t *testing.T, s transfer.Store, f *transfer.Folder) (messages []transfer.Message, texts []string) {
	t.Helper()
	for m, err := range s.Messages(t.Context(), "user@example.test", f) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		messages, texts = append(messages, *m), append(texts, text.String())
	}
	return messages, texts
}

func folder(t *testing.T, s transfer.Store, name string) transfer.Folder {
	t.Helper()
	folders, err := s.Folders(t.Context(), "user@example.test")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(folders, func(f transfer.Folder) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no %s in %+v", name, folders)
	}
	return folders[i]
}

func TestLocal(t *testing.T) {
	local := openLocal(t)
	if _, err := local.Folders(t.Context(), "user@example.test"); !errors.Is(err, mailbox.ErrNoAccount) {
		t.Errorf("no account: %v", err)
	}
	s := source{folder: transfer.Folder{Name: "Sent/B\u00fcro", UIDValidity: 1600000000, UIDNext: 5000, Use: mailbox.UseSent, Subscribed: true, Messages: -1}}
	at := time.Unix(1700000000, 0)
	for i := range 300 {
		s.add(transfer.Message{
			UID: uint32(3*i + 2), UIDL: fmt.Sprint("old-", i), Flags: mailbox.Flags(i) & mailbox.SystemFlags, Received: at,
			Keywords: []string{fmt.Sprint("k", i%35)},
		}, fmt.Sprintf("Subject: %d\n\n%s\n", i, strings.Repeat("x", i)))
	}
	s.add(transfer.Message{Received: at}, strings.Repeat("large\n", 100_000))
	if report, failed := run(t, &s, local); report.Messages != 301 || len(failed) > 0 || report.NewUIDs != 0 {
		t.Fatalf("%+v, %q", report, failed)
	}
	f := folder(t, local, "Sent/B\u00fcro")
	if f.UIDNext != 5001 { // one message came without a UID
		t.Errorf("UIDNEXT %d, after 5000 at the source", f.UIDNext)
	}
	if f.UIDValidity != 1600000000 || f.Use != mailbox.UseSent || !f.Subscribed || f.Messages != 301 {
		t.Errorf("%+v", f)
	}
	messages, texts := all(t, local, &f)
	for i, want := range s.messages {
		got := messages[i]
		if want.UID == 0 {
			want.UID, want.UIDL = got.UID, got.UIDL
		}
		if got.UID != want.UID || got.UIDL != want.UIDL || got.Flags != want.Flags || !got.Received.Equal(at) || !slices.Equal(got.Keywords, want.Keywords) {
			t.Errorf("%+v became %+v", want, got)
		}
		if texts[i] != strings.ReplaceAll(s.texts[i], "\n", "\r\n") {
			t.Errorf("text %d is %.80q", i, texts[i])
		}
	}
	if report, failed := run(t, &s, local); report.Messages != 0 || report.Known != 301 || len(failed) > 0 {
		t.Errorf("again: %+v, %q", report, failed)
	}
	if again := folder(t, local, f.Name); again.Messages != 301 {
		t.Errorf("%d messages after the second import", again.Messages)
	}
	if names, err := local.Accounts(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("%q, %v", names, err)
	}
}

// What cannot be filed is told of, and the rest is filed.
func TestLocalQuota(t *testing.T) {
	local := openLocal(t)
	s := source{folder: transfer.Folder{Name: "INBOX", UIDValidity: 9, UIDNext: 10}}
	for _, n := range []int{100, 100_000, 100, 100} {
		s.add(transfer.Message{UID: uint32(len(s.texts)) + 1, Keywords: []string{"not a keyword \x00"}}, strings.Repeat("x", n))
	}
	a, err := local.Store.CreateAccount(t.Context(), "user@example.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetQuota(t.Context(), 50_000, 0); err != nil {
		t.Fatal(err)
	}
	report, failed := run(t, &s, local)
	if report.Messages != 3 || len(failed) != 1 || !strings.Contains(failed[0], "message 1") {
		t.Errorf("%+v, %q", report, failed)
	}
	f := folder(t, local, "INBOX")
	messages, _ := all(t, local, &f)
	if len(messages) != 3 || messages[0].UID != 1 || messages[1].UID != 3 || messages[2].UID != 4 {
		t.Errorf("%+v", messages)
	}
	if err := a.SetQuota(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if report, failed = run(t, &s, local); report.Messages != 1 || report.Known != 3 || report.NewUIDs != 1 || len(failed) > 0 {
		t.Errorf("%+v, %q", report, failed)
	}
}

package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/delivery/transfer/remote"
	"postrider/delivery/transfer/transfertest"
	"postrider/internal/mail"
)

// served returns a client of s.
func served(t *testing.T, s transfer.Store) *remote.Client {
	h := remote.NewHandler(s)
	return &remote.Client{Do: func(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
		r := httptest.NewRequestWithContext(ctx, method, path, body)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result(), nil
	}}
}

func TestRemote(t *testing.T) {
	var s transfertest.Store
	c := served(t, &s)
	ctx := t.Context()
	if names, err := c.Accounts(ctx); err != nil || len(names) != 1 {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := c.Folders(ctx, "user"); !errors.Is(err, mailbox.ErrNoAccount) {
		t.Errorf("no account: %v", err)
	}
	f, err := c.Prepare(ctx, "user", &transfer.Folder{Name: "INBOX", UIDValidity: 5, UIDNext: 3, Use: mailbox.UseSent})
	if err != nil || f.UIDValidity != 5 || f.UIDNext != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	at := time.Unix(1700000000, 0).UTC()
	long := strings.Repeat("x\n{\"bytes\":3}\r\n", 10_000)
	batch := []transfer.Filing{
		{Message: transfer.Message{UID: 7, UIDL: "a", Flags: mailbox.FlagSeen, Keywords: []string{"$L", "\u00e4"}, Received: at}, ID: mail.ID{0xff, 1}, Text: []byte("one\r\n")},
		{Message: transfer.Message{UID: 8, Received: at}, ID: mail.ID{0xff, 2}},
		{Message: transfer.Message{UID: 9, Received: at}, ID: mail.ID{0xff, 3}, Text: []byte(long)},
	}
	s.Refuse = func(f *transfer.Filing) error {
		if f.UID == 8 {
			return mailbox.ErrQuota
		}
		return nil
	}
	results, err := c.Append(ctx, "user", "INBOX", batch)
	if err != nil || len(results) != 3 || results[0].UID != 7 || results[1].Error != mailbox.ErrQuota.Error() || results[2].UID != 9 {
		t.Fatalf("%+v, %v", results, err)
	}
	known, err := c.Known(ctx, "user", "INBOX", []mail.ID{{0xff, 1}, {0xff, 2}})
	if err != nil || !known[0] || known[1] {
		t.Errorf("%v, %v", known, err)
	}
	if err := c.Settle(ctx, "user", "INBOX", 50); err != nil || s.Box("INBOX").UIDNext != 50 {
		t.Errorf("%+v, %v", s.Box("INBOX").Folder, err)
	}
	var texts []string
	for m, err := range c.Messages(ctx, "user", &transfer.Folder{Name: "INBOX"}) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
		if m.UID == 7 && (m.UIDL != "a" || m.Flags != mailbox.FlagSeen || len(m.Keywords) != 2 || !m.Received.Equal(at) || m.SizeBytes != 5) {
			t.Errorf("%+v", m)
		}
	}
	if len(texts) != 2 || texts[0] != "one\r\n" || texts[1] != long {
		t.Errorf("%d texts came back", len(texts))
	}
	s.Broken = mailbox.ErrFull
	if _, err := c.Append(ctx, "user", "INBOX", batch); !errors.Is(err, mailbox.ErrFull) {
		t.Errorf("%v from a store without room", err)
	}
}

// What is no request of ours is refused.
func TestRefused(t *testing.T) {
	c := served(t, &transfertest.Store{})
	for verb, body := range map[string]string{
		"append": `{"bytes":5}` + "\nabc", "append?": `{"bytes":-1}` + "\n", "append?x": "{", "append?y": `{"bytes":999999999999}` + "\n", "append?z": `{"id":"x","bytes":0}` + "\n",
		"known": `["x"]`, "known?": "{", "settle": "{", "prepare": "[]", "messages": "[",
	} {
		resp, err := c.Do(t.Context(), http.MethodPost, remote.Path+verb, strings.NewReader(body))
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %q: %v, %v", verb, body, resp.Status, err)
		}
	}
}

// checked is a store that finds things wrong with itself.
type checked struct {
	transfertest.Store
	err error
}

func (c *checked) Fsck(_ context.Context, texts bool, report func(mailbox.Finding)) (mailbox.Checked, error) {
	report(mailbox.Finding{Account: "user", UID: 7, What: "odd"})
	out := mailbox.Checked{Accounts: 1}
	if texts {
		out.Texts = 5
	}
	return out, c.err
}

func TestFsck(t *testing.T) {
	s := checked{}
	c := served(t, &s)
	for _, s.err = range []error{nil, mailbox.ErrClosed} {
		var found []mailbox.Finding
		got, err := c.Fsck(t.Context(), true, func(f mailbox.Finding) { found = append(found, f) })
		if !errors.Is(err, s.err) || got.Accounts != 1 || got.Texts != 5 || len(found) != 1 || found[0].UID != 7 {
			t.Errorf("%+v, %+v, %v", got, found, err)
		}
	}
	if _, err := served(t, &s.Store).Fsck(t.Context(), false, nil); err == nil {
		t.Error("a store that cannot be checked was")
	}
}

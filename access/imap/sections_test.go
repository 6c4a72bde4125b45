package imap_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/access/imap/imaptest"
	"postrider/delivery/mailbox"
)

// oddMails are messages that test where one thing ends and the next begins.
func oddMails(t *testing.T) map[string]string {
	mails := map[string]string{
		"nothing": "", "emptyline": "\r\n", "headeronly": "Subject: x\r\n", "unended": "Subject: x", "noheader": "\r\nbody\r\n",
		"bodyatonce": "This is no header at all.\r\nSubject: late\r\n", "barelf": "Subject: x\nTo: y\n\nbody\n", "nul": "Subject: a\x00b\r\n\r\nc\x00d\r\n",
		"longheader": "X-Long: " + strings.Repeat("x\r\n ", 30_000) + "\r\nSubject: at the end\r\n\r\nbody\r\n",
		"folded":     "Subject:\r\n folded\r\n\ttwice\r\nX: y\r\n\r\nbody",
		"base64":     "Content-Transfer-Encoding: base64\r\n\r\nSGVs*\r\nbG8=\r\nAA==",
		"rfc822":     "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner body\r\n",
		"noparts":    "Content-Type: multipart/mixed; boundary=b\r\n\r\nno delimiter\r\n",
		"deep":       deep(150),
	}
	paths, err := filepath.Glob("testdata/mail/*.eml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		mails[filepath.Base(path)] = strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n", "\r\n")
	}
	return mails
}

// deep nests multiparts.
func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return b.String() + "\r\nthe middle"
}

// The sections of a message fit together, whatever the message is, and those that stand
// before it for one recipient are part of its header.
//
// Covers HI3.
func TestSectionsFitTogether(t *testing.T) {
	h := newHouse(t)
	in := h.box("INBOX")
	var names, texts []string
	for name, text0 := range oddMails(t) {
		for _, prefix := range []string{"", "Return-Path: <a@b.example>\r\n"} {
			d := &mailbox.Delivery{Text: text(text0), Targets: []mailbox.Target{{Mailbox: in, Prefix: []byte(prefix)}}}
			if err := h.store.Deliver(t.Context(), d); err != nil {
				t.Fatal(name, err)
			}
			names, texts = append(names, name), append(texts, strings.ReplaceAll(prefix+text0, "\x00", "\x80"))
		}
	}
	c, err := imaptest.NewClient("a", h.serve()())
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{`LOGIN user "` + password + `"`, "EXAMINE INBOX"} {
		if _, err := c.OK(command); err != nil {
			t.Fatal(err)
		}
	}
	for i, whole := range texts {
		fit(t, c, i+1, names[i], whole)
	}
	if err := c.Logout(); err != nil {
		t.Error(err)
	}
}

// fit compares the sections of a message with it.
func fit(t *testing.T, c *imaptest.Client, number int, name, whole string) {
	t.Helper()
	r, err := c.OK(fmt.Sprintf("FETCH %d (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BINARY.PEEK[1] BINARY.SIZE[1] "+
		"BODY.PEEK[HEADER.FIELDS.NOT (X-None)] BODY.PEEK[HEADER.FIELDS (Subject Return-Path)] BODY.PEEK[]<3.7> BODY.PEEK[TEXT]<1.2> "+
		"BODY.PEEK[1.MIME] BODY.PEEK[1.HEADER] BODY.PEEK[1.TEXT] BODY.PEEK[1.1.1.1.1.1] BODY.PEEK[2.3] BODY.PEEK[1.HEADER.FIELDS (Subject)] PREVIEW)", number))
	if err != nil || len(r.Untagged) != 1 {
		t.Fatalf("%s: %v", name, err)
	}
	items := r.Untagged[0].Items()
	get := func(item string) string { return items[strings.ToUpper(item)].Text }
	header, body := get("BODY[HEADER]"), get("BODY[TEXT]")
	if get("BODY[]") != whole || header+body != whole || get("RFC822.SIZE") != fmt.Sprint(len(whole)) {
		t.Errorf("%s: header %.80q and text %.80q of %.80q", name, header, body, whole)
	}
	if got, want := get("BODY[]<3>"), cut(whole, 3, 7); got != want {
		t.Errorf("%s: octets 3 to 10 %q, want %q", name, got, want)
	}
	if got, want := get("BODY[TEXT]<1>"), cut(body, 1, 2); got != want {
		t.Errorf("%s: octets 1 to 3 of the text %q, want %q", name, got, want)
	}
	if got := get("BODY[HEADER.FIELDS.NOT (X-None)]"); strings.TrimRight(got, "\r\n") != strings.TrimRight(header, "\r\n") || !strings.HasSuffix(got, "\r\n") {
		t.Errorf("%s: all fields %.80q, header %.80q", name, got, header)
	}
	if got := get("BODY[HEADER.FIELDS (Subject Return-Path)]"); strings.Contains(header, "Subject: at the end") && !strings.Contains(got, "Subject: at the end\r\n") {
		t.Errorf("%s: chosen fields %.80q", name, got)
	}
	if part := get("BODY[1]"); !strings.Contains(whole, part) {
		t.Errorf("%s: part 1 %.80q", name, part)
	}
	if decoded := get("BINARY[1]"); get("BINARY.SIZE[1]") != fmt.Sprint(len(decoded)) {
		t.Errorf("%s: decoded %q, %s octets", name, decoded, get("BINARY.SIZE[1]"))
	}
}

// cut returns n octets of s from an offset, as far as there are any.
func cut(s string, from, n int) string {
	from = min(from, len(s))
	return s[from:min(from+n, len(s))]
}

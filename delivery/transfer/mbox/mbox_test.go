package mbox_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/delivery/transfer/mbox"
	"postrider/delivery/transfer/transfertest"
)

func imported(t *testing.T, path string) *transfertest.Box {
	t.Helper()
	r, err := mbox.Open(path, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	var s transfertest.Store
	i := transfer.Import{From: r, To: &s, Account: "user", Failed: func(name string, err error) { t.Errorf("%s: %v", name, err) }}
	_, err = i.Run(t.Context())
	report, again := i.Run(t.Context())
	if err := errors.Join(err, again, r.Close()); err != nil {
		t.Fatal(err)
	}
	box := s.Box("INBOX")
	if len(box.Filed) != report.Known {
		t.Errorf("%d filed, %d known the second time", len(box.Filed), report.Known)
	}
	return box
}

func exported(t *testing.T, path string, crlf bool, boxes ...*transfertest.Box) {
	t.Helper()
	w, err := mbox.Create(path, crlf)
	if err != nil {
		t.Fatal(err)
	}
	e := transfer.Export{From: &transfertest.Store{Boxes: boxes}, Account: "user", To: w, Failed: func(name string, err error) { t.Errorf("%s: %v", name, err) }}
	_, err = e.Run(t.Context())
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	path := t.TempDir() + "/mbox"
	const text = "junk\nFrom a@b Sat Jan  3 01:05:34 1996\nSubject: 1\nStatus: RO\nX-Status: AF\n folded\nX-Keywords: a b\n a\n\n>From x\n>>From y\nFrom here to there\nFrom in text Sat Jan  3 01:05:34 1996\n\n" +
		"From MAILER DAEMON Sat Jan 13 01:05:34 +0100 1996\nSubject: 2\n\nFrom z\n\nFrom c Sat Jan  3 01:05:34 1996\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	box := imported(t, path)
	if len(box.Filed) != 3 {
		t.Fatalf("%d messages", len(box.Filed))
	}
	first := &box.Filed[0]
	if want := "Subject: 1\n\nFrom x\n>From y\nFrom here to there\nFrom in text Sat Jan  3 01:05:34 1996\n"; string(first.Text) != strings.ReplaceAll(want, "\n", "\r\n") {
		t.Errorf("%q", first.Text)
	}
	if first.Flags != mailbox.FlagSeen|mailbox.FlagAnswered|mailbox.FlagFlagged || strings.Join(first.Keywords, " ") != "a b" {
		t.Errorf("%v %q", first.Flags, first.Keywords)
	}
	if !first.Received.Equal(time.Date(1996, 1, 3, 1, 5, 34, 0, time.UTC)) || box.Filed[2].Received.Year() != 1996 {
		t.Errorf("%v, %v", first.Received, box.Filed[2].Received)
	}
	if string(box.Filed[1].Text) != "Subject: 2\r\n\r\nFrom z\r\n" || len(box.Filed[2].Text) != 0 {
		t.Errorf("%q, %q", box.Filed[1].Text, box.Filed[2].Text)
	}
}

// What is written is read back, whatever stands in the texts.
func FuzzRoundTrip(f *testing.F) {
	f.Add("Return-Path: <a@b>\r\nSubject: x\r\n\r\nFrom a Sat Jan  3 01:05:34 1996\r\n\r\n>From b\r\n\r\n", uint8(255), true)
	f.Add("\r\n\r\nFrom a Sat Jan  3 01:05:34 1996\r\n", uint8(3), false)
	f.Add("From a\r\n", uint8(0), false)
	f.Add("a: b\r\n\r\n\r\n\r\n\r\n", uint8(0), true)
	f.Fuzz(func(t *testing.T, text string, flags uint8, crlf bool) {
		if strings.Count(text, "\r\n") != strings.Count(text, "\n") || strings.Count(text, "\r") != strings.Count(text, "\n") || !strings.HasSuffix(text, "\r\n") {
			return
		}
		header, _, _ := strings.Cut("\r\n"+text, "\r\n\r\n")
		if lower := strings.ToLower(header); strings.Contains(lower, "\r\nstatus:") || strings.Contains(lower, "\r\nx-status:") || strings.Contains(lower, "\r\nx-keywords:") || !strings.Contains("\r\n"+text, "\r\n\r\n") {
			return
		}
		at := time.Unix(1700000000, 0)
		box := &transfertest.Box{Folder: transfer.Folder{Name: "INBOX"}}
		for range 2 {
			box.Filed = append(box.Filed, transfer.Filing{Message: transfer.Message{Flags: mailbox.Flags(flags) & mailbox.SystemFlags, Received: at}, Text: []byte(text)})
		}
		dir := t.TempDir()
		exported(t, dir, crlf, box)
		back := imported(t, dir+"/INBOX.mbox")
		if len(back.Filed) != 2 {
			t.Fatalf("%q: %d messages", text, len(back.Filed))
		}
		for _, m := range back.Filed {
			if string(m.Text) != text || m.Flags != mailbox.Flags(flags)&mailbox.SystemFlags || !m.Received.Equal(at) {
				t.Fatalf("%q became %q, %v", text, m.Text, m.Flags)
			}
		}
	})
}

// FuzzRead reads any file.
func FuzzRead(f *testing.F) {
	f.Add([]byte("From a Sat Jan  3 01:05:34 1996\n>From\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := t.TempDir() + "/mbox"
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, m := range imported(t, path).Filed {
			total += len(m.Text)
		}
		if total > 2*len(text) {
			t.Fatalf("%d octets of %d", total, len(text))
		}
	})
}

// Covers HM2.
func TestLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(outside+"/secret", nil, 0o600), os.Symlink(outside+"/secret", dir+"/link"), syscall.Mkfifo(dir+"/fifo", 0o600), os.Symlink(outside, dir+"/Sent")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/link", "/fifo", "", "/none"} {
		if r, err := mbox.Open(dir+name, "INBOX"); err == nil {
			t.Errorf("%s was opened: %v", name, r)
		}
	}
	w, err := mbox.Create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Sent/x", "../x", "/x", "a/../../x", ".", "", "a//b", "x\x00"} {
		if err := w.Begin(t.Context(), &transfer.Folder{Name: name}); err == nil {
			t.Errorf("%q has a file", name)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if there, err := os.ReadDir(outside); err != nil || len(there) != 1 {
		t.Errorf("%v outside, %v", there, err)
	}
	if _, err := mbox.Create(dir+"/file/none", false); err == nil {
		t.Error("a folder was made in none")
	}
}

package maildir_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/delivery/transfer/maildir"
	"postrider/delivery/transfer/transfertest"
)

// put writes a file below dir and the folders that it needs.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// open opens a Maildir for the length of a test.
func open(t *testing.T, path string) *maildir.Reader {
	t.Helper()
	r, err := maildir.Open(path, maildir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// imported imports a Maildir into s and returns the report and the names of what failed.
func imported(t *testing.T, path string, s transfer.Store) (transfer.Report, []string) {
	t.Helper()
	var failed []string
	i := transfer.Import{From: open(t, path), To: s, Account: "user@example.test",
		Failed: func(name string, err error) { failed = append(failed, name+": "+err.Error()) }}
	report, err := i.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report, failed
}

// exported exports s into a new folder.
func exported(t *testing.T, s transfer.Store, crlf bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	export(t, s, path, crlf)
	return path
}

func export(t *testing.T, s transfer.Store, path string, crlf bool) transfer.Report {
	t.Helper()
	w, err := maildir.Create(path, maildir.WriteOptions{CRLF: crlf, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	e := transfer.Export{From: s, Account: "user@example.test", To: w, Failed: func(name string, err error) { t.Errorf("%s: %v", name, err) }}
	report, err := e.Run(t.Context())
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return report
}

// texts returns the content of all files of a folder, sorted.
func texts(t *testing.T, dirs ...string) []string {
	t.Helper()
	var all []string
	for _, dir := range dirs {
		files, err := filepath.Glob(dir + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(text))
		}
	}
	slices.Sort(all)
	return all
}

// dovecot makes a Maildir as Dovecot leaves it.
func dovecot(t *testing.T) string {
	dir := t.TempDir()
	put(t, dir+"/cur/1700000001.M1P1.host,S=12,W=14:2,FSab", "Subject: 1\n\n")
	put(t, dir+"/cur/1700000002.M1P1.host:2,", "Subject: 2\r\n\r\n")
	put(t, dir+"/new/1700000003.M1P1.host", "Subject: 3\n\nno end")
	put(t, dir+"/dovecot-uidlist", "3 V1600000000 N20 Gabc\n7 :1700000001.M1P1.host,S=12,W=14\n9 Pkept-id W14 :1700000002.M1P1.host:2,S\nbroken\n8 :later\n12 :gone\n")
	put(t, dir+"/dovecot-keywords", "0 $Label1\n1 work\n")
	put(t, dir+"/subscriptions", "Sent.B&APw-ro\n")
	put(t, dir+"/.Sent.B&APw-ro/cur/1700000004.M1P1.host:2,DRT", "Subject: 4\n\n")
	put(t, dir+"/.Sent.B&APw-ro/maildirfolder", "")
	if err := errors.Join(os.MkdirAll(dir+"/.Trash/cur", 0o700), os.Mkdir(dir+"/.Trash/new", 0o700), os.Mkdir(dir+"/.nothing", 0o700)); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 0)
	if err := os.Chtimes(dir+"/cur/1700000001.M1P1.host,S=12,W=14:2,FSab", at, at); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestImport(t *testing.T) {
	var s transfertest.Store
	report, failed := imported(t, dovecot(t), &s)
	if report.Messages != 4 || report.Folders != 3 || len(failed) > 0 {
		t.Errorf("%+v, failed %q", report, failed)
	}
	inbox := s.Box("INBOX")
	if inbox.UIDValidity != 1600000000 || inbox.UIDNext != 21 || len(inbox.Filed) != 3 {
		t.Fatalf("%+v", inbox)
	}
	for i, want := range []struct {
		uid      uint32
		uidl     string
		flags    mailbox.Flags
		keywords string
		text     string
	}{
		{7, "000000075f5e1000", mailbox.FlagFlagged | mailbox.FlagSeen, "$Label1 work", "Subject: 1\r\n\r\n"},
		{9, "kept-id", 0, "", "Subject: 2\r\n\r\n"},
		{20, "", 0, "", "Subject: 3\r\n\r\nno end"},
	} {
		m := inbox.Filed[i]
		if m.UID != want.uid || m.UIDL != want.uidl || m.Flags != want.flags || strings.Join(m.Keywords, " ") != want.keywords || string(m.Text) != want.text {
			t.Errorf("message %d is %+v %q", i, m.Message, m.Text)
		}
	}
	if at := inbox.Filed[0].Received.Unix(); at != 1700000000 {
		t.Errorf("received %d", at)
	}
	sent := s.Box("Sent/Büro")
	if sent == nil || !sent.Subscribed || sent.Filed[0].Flags != mailbox.FlagDraft|mailbox.FlagAnswered|mailbox.FlagDeleted {
		t.Errorf("%+v", sent)
	}
	if trash := s.Box("Trash"); trash == nil || trash.Use != mailbox.UseTrash {
		t.Errorf("%+v", trash)
	}
}

// An import that was repeated, or broke off, files nothing twice.
func TestImportAgain(t *testing.T) {
	var s transfertest.Store
	dir := dovecot(t)
	s.Refuse = func(f *transfer.Filing) error {
		if f.UID == 9 {
			return mailbox.ErrQuota
		}
		return nil
	}
	report, failed := imported(t, dir, &s)
	if report.Messages != 3 || report.Failed != 1 || len(failed) != 1 || !strings.Contains(failed[0], "1700000002") {
		t.Errorf("%+v, failed %q", report, failed)
	}
	s.Refuse = nil
	put(t, dir+"/new/1700000009.M1P1.host", "Subject: 5\n\n")
	if report, _ = imported(t, dir, &s); report.Messages != 2 || report.Known != 3 || report.NewUIDs != 1 {
		t.Errorf("%+v", report)
	}
	if report, _ = imported(t, dir, &s); report.Messages != 0 || report.Known != 5 {
		t.Errorf("%+v", report)
	}
	s.Broken = mailbox.ErrClosed
	put(t, dir+"/new/1700000010.M1P1.host", "Subject: 6\n\n")
	i := transfer.Import{From: open(t, dir), To: &s, Account: "user@example.test"}
	if _, err := i.Run(t.Context()); !errors.Is(err, mailbox.ErrClosed) {
		t.Errorf("%v from a store that is closed", err)
	}
}

// What goes in comes out byte for byte: 5,000 messages of LF lines, 500 of CRLF.
func TestRoundTrip(t *testing.T) {
	for _, crlf := range []bool{false, true} {
		t.Run(fmt.Sprint("crlf ", crlf), func(t *testing.T) {
			messages := 5000
			if crlf {
				messages = 500
			}
			in := t.TempDir()
			eol := "\n"
			if crlf {
				eol = "\r\n"
			}
			var list bytes.Buffer
			fmt.Fprintf(&list, "3 V1234567 N%d\n", 3*messages)
			if err := errors.Join(os.Mkdir(in+"/cur", 0o700), os.Mkdir(in+"/new", 0o700)); err != nil {
				t.Fatal(err)
			}
			for i := range messages {
				lines := []string{fmt.Sprint("Subject: ", i), "X: \xff\x00 8 bit", "", strings.Repeat("x", i%3000), "From here", ".", "lone\rCR", ""}
				text := strings.Join(lines, eol)
				if i%7 == 0 {
					text = strings.TrimSuffix(text, eol) // no end of the last line
				}
				if i%11 == 0 {
					text += "\r" // a CR at the very end
				}
				base := fmt.Sprintf("17%08d.M%dP1.host", i, i)
				if err := os.WriteFile(in+"/cur/"+base+":2,S", []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&list, "%d :%s\n", 2*i+1, base)
			}
			put(t, in+"/dovecot-uidlist", list.String())
			var s transfertest.Store
			if report, failed := imported(t, in, &s); report.Messages != messages || len(failed) > 0 {
				t.Fatalf("%+v, failed %q", report, failed)
			}
			out := exported(t, &s, crlf)
			if got, want := texts(t, out+"/cur"), texts(t, in+"/cur"); !slices.Equal(got, want) {
				t.Errorf("%d texts came out, not the %d that went in", len(got), len(want))
			}
			if !crlf { // the texts were what is slow
				return
			}
			var back transfertest.Store
			if report, failed := imported(t, out, &back); report.Messages != messages || len(failed) > 0 {
				t.Fatalf("%+v, failed %q", report, failed)
			}
			a, b := s.Box("INBOX"), back.Box("INBOX")
			if a.UIDValidity != b.UIDValidity || a.UIDNext != b.UIDNext {
				t.Errorf("%+v became %+v", a.Folder, b.Folder)
			}
			for i := range a.Filed {
				x, y := &a.Filed[i], &b.Filed[i]
				if x.UID != y.UID || x.UIDL != y.UIDL || x.Flags != y.Flags || x.Received.Unix() != y.Received.Unix() || !bytes.Equal(x.Text, y.Text) {
					t.Fatalf("%+v became %+v", x.Message, y.Message)
				}
			}
		})
	}
}

package maildir_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postrider/delivery/transfer"
	"postrider/delivery/transfer/maildir"
	"postrider/delivery/transfer/transfertest"
)

// A Maildir whose owner replaced things by links, pipes and devices: nothing that
// is not theirs is read, nothing waits, each is named and the rest is moved.
//
// Covers HM2.
func TestHostileMaildir(t *testing.T) {
	dir, secret := dovecot(t), t.TempDir()
	put(t, secret+"/secret", "Subject: secret\n\n")
	put(t, secret+"/cur/1.secret:2,", "Subject: secret\n\n")
	put(t, dir+"/.inbox/cur/1.below:2,", "Subject: in a folder that is called as INBOX is\n\n")
	if err := errors.Join(
		os.Symlink(secret+"/secret", dir+"/cur/1700000020.link:2,"),
		os.Symlink(secret, dir+"/.Linked"),
		syscall.Mkfifo(dir+"/cur/1700000021.fifo:2,", 0o600),
		os.Mkdir(dir+"/cur/1700000022.dir:2,", 0o700),
		os.MkdirAll(dir+"/.Half", 0o700),
		os.Symlink(secret+"/cur", dir+"/.Half/cur"),
	); err != nil {
		t.Fatal(err)
	}
	var s transfertest.Store
	report, failed := imported(t, dir, &s)
	if report.Messages != 4 || report.Failed != 6 || report.Known != 0 {
		t.Errorf("%+v, failed %q", report, failed)
	}
	all := strings.Join(failed, "\n")
	for _, name := range []string{"1700000020.link", "1700000021.fifo", "1700000022.dir", "Linked", "Half", ".inbox"} {
		if !strings.Contains(all, name) {
			t.Errorf("nobody was told of %s: %q", name, failed)
		}
	}
	for _, b := range s.Boxes {
		if slices.Contains([]string{"Linked", "Half", ".inbox"}, b.Name) {
			t.Errorf("a mailbox was made for %s", b.Name)
		}
		for _, m := range b.Filed {
			if strings.Contains(string(m.Text), "secret") {
				t.Errorf("%s was read through a link", m.Name)
			}
		}
	}
}

// Covers HM2.
func TestLinkedMaildir(t *testing.T) {
	dir, elsewhere := dovecot(t), t.TempDir()
	if err := errors.Join(os.Symlink(dir, elsewhere+"/link"), os.Mkdir(elsewhere+"/below", 0o700), os.Symlink(filepath.Dir(dir), elsewhere+"/above")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{elsewhere + "/link", elsewhere + "/above/" + filepath.Base(dir)} {
		if r, err := maildir.Open(path, maildir.Options{}); !errors.Is(err, maildir.ErrLink) {
			t.Errorf("%s: %v, %v", path, r, err)
		}
	}
	if err := syscall.Mkfifo(elsewhere+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{elsewhere + "/below", elsewhere + "/none", elsewhere + "/fifo", "/dev/null"} {
		if _, err := maildir.Open(path, maildir.Options{}); err == nil {
			t.Errorf("%s was taken for a Maildir", path)
		}
	}
	for _, list := range []string{"dovecot-uidlist", "dovecot-keywords", "subscriptions"} {
		if err := errors.Join(os.Remove(dir+"/"+list), os.Symlink("/etc/passwd", dir+"/"+list)); err != nil {
			t.Fatal(err)
		}
		r := open(t, dir)
		if _, err := r.Folders(t.Context()); !errors.Is(err, maildir.ErrLink) && list != "dovecot-keywords" {
			t.Errorf("%s: %v", list, err)
		}
		if err := errors.Join(os.Remove(dir+"/"+list), os.WriteFile(dir+"/"+list, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// An export stays below its folder, whatever a mailbox is called and whatever
// stands there already.
//
// Covers HM2.
func TestHostileExport(t *testing.T) {
	outside := t.TempDir()
	for _, name := range []string{"../x", "a/../../b", "/abs", "~root", "nul\x00", "dot.ted", `back\slash`, "new\nline", strings.Repeat("x", 300)} {
		var s transfertest.Store
		s.Boxes = []*transfertest.Box{{Folder: transfer.Folder{Name: name, UIDValidity: 1}, Filed: []transfer.Filing{{Message: transfer.Message{UID: 1}, Text: []byte("x\r\n")}}}}
		parent := t.TempDir()
		w, err := maildir.Create(parent+"/out", maildir.WriteOptions{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		e := transfer.Export{From: &s, Account: "user@example.test", To: w}
		_, err = e.Run(t.Context())
		if err := errors.Join(err, w.Close()); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if there, err := os.ReadDir(parent); err != nil || len(there) != 1 {
			t.Errorf("%q: %v in the folder above, %v", name, there, err)
		}
	}
	dir := t.TempDir()
	if err := errors.Join(os.Symlink(outside, dir+"/.Sent"), os.Symlink(outside, dir+"/cur"), os.Symlink(outside, dir+"/link")); err != nil {
		t.Fatal(err)
	}
	var s transfertest.Store
	for _, name := range []string{"INBOX", "Sent"} {
		s.Boxes = append(s.Boxes, &transfertest.Box{Folder: transfer.Folder{Name: name, UIDValidity: 1}, Filed: []transfer.Filing{{Message: transfer.Message{UID: 1}, Text: []byte("x\r\n")}}})
	}
	w, err := maildir.Create(dir, maildir.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := transfer.Export{From: &s, Account: "user@example.test", To: w}
	report, err := e.Run(t.Context())
	if err := errors.Join(err, w.Close()); err != nil || report.Failed != 2 || report.Messages != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if there, err := os.ReadDir(outside); err != nil || len(there) != 0 {
		t.Errorf("%v was written through a link, %v", there, err)
	}
	if _, err := maildir.Create(dir+"/link", maildir.WriteOptions{}); !errors.Is(err, maildir.ErrLink) {
		t.Errorf("a link in the place of the folder: %v", err)
	}
}

// An export that is repeated adds what is new and brings flags up to date.
func TestExportAgain(t *testing.T) {
	var s transfertest.Store
	imported(t, dovecot(t), &s)
	path := exported(t, &s, false)
	first := texts(t, path+"/cur")
	s.Box("INBOX").Filed[1].Flags = 1 << 3
	if report := export(t, &s, path, false); report.Messages != 4 {
		t.Errorf("%+v", report)
	}
	if again := texts(t, path+"/cur"); len(again) != len(first) {
		t.Errorf("%d files after the second export, %d after the first", len(again), len(first))
	}
	var back transfertest.Store
	imported(t, path, &back)
	if got := back.Box("INBOX").Filed[1].Flags; got != 1<<3 {
		t.Errorf("flags %v", got)
	}
	if sent := back.Box("Sent/Büro"); sent == nil || !sent.Subscribed {
		t.Errorf("%+v", sent)
	}
}

package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"postrider/bench/sink"
	"postrider/delivery/mailbox"
	"postrider/internal/admin"
	"postrider/internal/backup"
	"postrider/queue"
)

// TestBackupAndRestore backs up a running appliance, loses it, and starts what was put
// back: mail in mailboxes is there, mail that waited is held.
func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	busy := newHop(t, sink.Options{}, sink.Rule{At: sink.AtRcpt, Reply: "450 4.2.1 later"})
	addUser(t, dir, "u@here.example", goodPassword)
	file := configure(t, dir, relayListener+"[local]\ndirect = false\ndomains = [\"here.example\"]\n"+route("here.example", "local")+route("*", "smtp:"+busy.addr))
	a := startIn(t, dir, file, nil)
	c := a.dial("127.0.0.1").hello()
	c.send("Subject: filed\r\n\r\nbody", "u@here.example")
	c.send("Subject: waits\r\n\r\nbody", "x@far.example")
	await(t, "one filed, one deferred", func() bool {
		return a.Engine().Ledger().Ended == 1 && a.Engine().Queue().Counts().States[queue.Deferred].Recipients == 1
	})
	to := filepath.Join(t.TempDir(), "backup")
	client := admin.NewClient(filepath.Join(dir, "data", "admin.sock"))
	if err := client.Backup(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if err := client.Backup(t.Context(), to); err == nil {
		t.Error("a backup over another one")
	}
	a.stop()
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "users")); err != nil {
		t.Fatal(err)
	}
	if r, err := backup.Restore(t.Context(), to, backup.RestoreOptions{}); err != nil || len(r.Kept) != 0 {
		t.Fatal(r, err)
	}
	a = startIn(t, dir, file, nil)
	await(t, "what waited is held", func() bool { return a.Engine().Queue().Counts().States[queue.Held].Recipients == 1 })
	a.dial("127.0.0.1").hello().send("Subject: new\r\n\r\nbody", "u@here.example")
	await(t, "the new one is filed", func() bool { return a.Engine().Ledger().Ended == 1 })
	a.stop()
	s, err := mailbox.Open(mailbox.Options{Dir: filepath.Join(dir, "data", "mailboxes")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // only read
	account, err := s.Account("u@here.example")
	if err != nil {
		t.Fatal(err)
	}
	m, err := account.Mailbox("INBOX")
	if err != nil || m.Status().Messages != 2 {
		t.Fatal(m.Status(), err)
	}
}

package pop3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/access/pop3"
	"postrider/delivery/mailbox"
	"postrider/internal/auth"
)

// body is a mail.Body in memory.
type body []byte

func (b body) Size() int64                             { return int64(len(b)) }
func (b body) Bytes() []byte                           { return b }
func (b body) Reader() io.Reader                       { return bytes.NewReader(b) }
func (b body) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(b).ReadAt(p, off) }

func openStore(t testing.TB, fs vfs.FS) *mailbox.Store {
	t.Helper()
	s, err := mailbox.Open(mailbox.Options{FS: fs, Dir: "store", SegmentBytes: 4 << 20, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const account = "user@mx.example"

func file(t testing.TB, s *mailbox.Store, prefix, text string) {
	t.Helper()
	a, err := s.CreateAccount(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Mailbox("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	d := &mailbox.Delivery{Text: body(text), Targets: []mailbox.Target{{Mailbox: m, Prefix: []byte(prefix)}}}
	if err := s.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// serveStore serves the users of a store.
func serveStore(t testing.TB, s *mailbox.Store) (dial func() net.Conn) {
	t.Helper()
	o := &pop3.Options{Exclusive: true}
	_, dial = start(t, o, newHouse("user"))
	o.Open = func(ctx context.Context, u *auth.User) (pop3.Maildrop, error) {
		return pop3.OpenInbox(ctx, s, u.Name)
	}
	return dial
}

// Texts come with what stands before them for the recipient, in the sizes that are
// announced, whether small or large; what is removed stays removed, unique-ids stay
// the same, and what was retrieved is seen, also after the store was opened again as
// it was when the power went.
//
// Covers HI9.
func TestInbox(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openStore(t, fs)
	large := "Subject: large\r\n\r\n" + strings.Repeat("\r\n.large", 60_000) + "\r\n"
	for i := range 5 {
		file(t, s, "Return-Path: <a@b.example>\r\n", fmt.Sprintf("Subject: %d\r\n\r\ntext %d\r\n", i, i))
	}
	file(t, s, "", large)
	dial := serveStore(t, s)
	c := newTalk(t, dial())
	c.login("user", "+OK")
	uids := c.list("UIDL")
	c.want("STAT", fmt.Sprintf("+OK 6 %d", 5*(28+22)+len(large)))
	if sizes := c.list("LIST"); len(uids) != 6 || len(sizes) != 6 || sizes[4] != "5 50" || sizes[5] != fmt.Sprintf("6 %d", len(large)) {
		t.Fatalf("%q %q", uids, sizes)
	}
	c.want("LIST 2", "+OK 2 50")
	c.want("UIDL 3", "+OK "+uids[2])
	c.want("TOP 1 0", "+OK 50 octets")
	if got := strings.Join(c.rest(), "|"); got != "Return-Path: <a@b.example>|Subject: 0|" {
		t.Errorf("%q", got)
	}
	c.want("RETR 4", "+OK 50 octets")
	if got := strings.Join(c.rest(), "|"); got != "Return-Path: <a@b.example>|Subject: 3||text 3" {
		t.Errorf("%q", got)
	}
	c.want("RETR 6", fmt.Sprintf("+OK %d octets", len(large)))
	if got := strings.ReplaceAll(strings.Join(c.rest(), "\r\n"), "\n..", "\n.") + "\r\n"; got != large {
		t.Errorf("the large text differs: %d octets, want %d", len(got), len(large))
	}
	file(t, s, "", "Subject: new\r\n\r\n") // not for this session
	c.want("LIST 7", "-ERR No such message")
	c.want("DELE 2", "+OK Marked")
	c.want("DELE 3", "+OK Marked")
	c.want("QUIT", "+OK Bye")
	c.end()
	lost := newTalk(t, dial())
	lost.login("user", "+OK")
	lost.want("DELE 1", "+OK Marked")
	lost.want("RETR 5", fmt.Sprintf("+OK %d octets", len("Subject: new\r\n\r\n")))
	lost.rest()
	after := fs.CrashClone(vfs.CrashCloneCfg{}) // what is not synced is lost, and so is the session
	again := openStore(t, after)
	dial = serveStore(t, again)
	c = newTalk(t, dial())
	c.login("user", "+OK")
	for i, line := range c.list("UIDL")[:4] {
		was := []int{0, 3, 4, 5}[i]
		if line != strings.Replace(uids[was], fmt.Sprint(was+1), fmt.Sprint(i+1), 1) {
			t.Errorf("message %d was %q and is %q", was+1, uids[was], line)
		}
	}
	c.want("STAT", fmt.Sprintf("+OK 5 %d", 3*50+len(large)+len("Subject: new\r\n\r\n")))
	a, err := again.Account(account)
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Mailbox("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	if unseen := m.Status().Unseen; unseen != 3 {
		t.Errorf("%d are not seen, want 3", unseen)
	}
	c.want("QUIT", "+OK Bye")
	c.end()
	t.Cleanup(func() { _ = s.Close(); _ = again.Close() })
}

// A user who never got mail has an empty maildrop. One who gets some, and whose
// messages somebody else removes meanwhile, keeps his numbers.
func TestInboxChanges(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	dial := serveStore(t, s)
	c := newTalk(t, dial())
	c.login("fresh", "+OK")
	c.want("STAT", "+OK 0 0")
	if lines := c.list("LIST"); len(lines) != 0 {
		t.Errorf("%q", lines)
	}
	c.want("RETR 1", "-ERR No such message")
	for i := range 4 {
		file(t, s, "", fmt.Sprintf("Subject: %d\r\n\r\n", i))
	}
	c = newTalk(t, dial())
	c.login("user", "+OK")
	a, err := s.Account(account)
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Mailbox("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	c.want("STAT", "+OK 4 56")
	c.want("LIST 4", "+OK 4 14")
	if n, err := m.Expunge(t.Context(), []mailbox.Range{{From: 2, To: 3}}, 0); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := strings.Join(c.list("LIST"), ","); got != "1 14,4 14" {
		t.Errorf("%q", got)
	}
	c.want("LIST 2", "-ERR Message was removed by another session")
	c.want("RETR 3", "-ERR Message was removed by another session")
	c.want("RETR 4", "+OK 14 octets")
	if got := c.rest()[0]; got != "Subject: 3" {
		t.Errorf("%q", got)
	}
	for i := range 4 {
		c.want(fmt.Sprintf("DELE %d", i+1), "+OK Marked")
		if i == 1 {
			c.want("STAT", "+OK 2 14") // of which one is gone
		}
	}
	c.want("STAT", "+OK 0 0")
	c.want("QUIT", "+OK Bye")
	c.end()
	if n := m.Status().Messages; n != 0 {
		t.Errorf("%d are left", n)
	}
	// Nothing was looked at before the change: it was no message's number yet.
	for range 3 {
		file(t, s, "", "Subject: x\r\n\r\n")
	}
	c = newTalk(t, dial())
	c.login("user", "+OK")
	c.want("STAT", "+OK 3 42")
	if n, err := m.Expunge(t.Context(), []mailbox.Range{{From: 6, To: 6}}, 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	file(t, s, "", "Subject: late\r\n\r\n")
	c.want("DELE 3", "-ERR No such message")
	if got := strings.Join(c.list("LIST"), ","); got != "1 14,2 14" {
		t.Errorf("%q", got)
	}
	c.want("STAT", "+OK 2 28")
	c.want("DELE 1", "+OK Marked")
	c.want("STAT", "+OK 1 14")
	c.want("QUIT", "+OK Bye")
	c.end()
	if n := m.Status().Messages; n != 2 {
		t.Errorf("%d are left", n)
	}
	t.Cleanup(func() { _ = s.Close() })
}

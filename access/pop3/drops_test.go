package pop3_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"postrider/access/pop3"
)

const (
	inUse   = "-ERR [IN-USE] Another session has the maildrop"
	tooSoon = "-ERR [LOGIN-DELAY] Too soon after the last login"
)

// One session at a time has an exclusive maildrop, whichever server it came by; the
// next may have it once that has ended, well or not.
//
// Covers HI9.
func TestExclusive(t *testing.T) {
	h := newHouse("user", "Subject: one\r\n\r\n")
	drops := pop3.NewDrops()
	_, dial := start(t, &pop3.Options{Exclusive: true, Drops: drops}, h)
	_, other := start(t, &pop3.Options{Exclusive: true, Drops: drops}, h)
	a, b := newTalk(t, dial()), newTalk(t, other())
	a.login("user", "+OK")
	b.login("user", inUse)
	b.login("someone", "+OK")
	a.want("DELE 1", "+OK Marked")
	a.want("QUIT", "+OK Bye")
	a.end()
	c := newTalk(t, other())
	c.login("user", "+OK")
	c.want("STAT", "+OK 0 0")
	_ = c.nc.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		d := newTalk(t, dial())
		d.want("USER user", "+OK Say PASS")
		if _, err := io.WriteString(d.nc, "PASS "+password+"\r\n"); err != nil {
			t.Fatal(err)
		}
		got := d.line()
		if got == "+OK" {
			break
		}
		if got != inUse || time.Now().After(deadline) {
			t.Fatal(got)
		}
	}
}

// A shared maildrop may be open in several sessions. What one removes the others can
// no longer read, but their numbers stay.
//
// Covers HI9.
func TestShared(t *testing.T) {
	h := newHouse("user", "Subject: one\r\n\r\n", "Subject: two\r\n\r\n", "Subject: three\r\n\r\n")
	_, dial := start(t, &pop3.Options{}, h)
	a, b := newTalk(t, dial()), newTalk(t, dial())
	a.login("user", "+OK")
	b.login("user", "+OK")
	a.want("DELE 2", "+OK Marked")
	b.want("DELE 3", "+OK Marked")
	a.want("QUIT", "+OK Bye")
	a.end()
	b.want("RETR 2", "-ERR Message was removed by another session")
	b.want("UIDL 3", "-ERR Message is marked as removed")
	b.want("UIDL 1", "+OK 1 uid1")
	b.want("DELE 2", "+OK Marked")
	b.want("QUIT", "+OK Bye")
	b.end()
	if got := h.left("user"); got != "uid1" {
		t.Errorf("left is %q", got)
	}
}

// Logins of one user keep their distance, those of others do not matter, and neither
// do refused ones.
func TestLoginDelay(t *testing.T) {
	inBubble(t, &pop3.Options{LoginDelay: time.Minute}, newHouse("user"), func(t *testing.T, p *pipes) {
		try := func(user, want string) {
			t.Helper()
			said := converse(p, "USER "+user+"\r\n", "PASS "+password+"\r\n", "QUIT\r\n")
			if got := said[len(said)-2]; got != want {
				t.Errorf("%s: %q, want %q", user, got, want)
			}
		}
		wait := func(d time.Duration) { <-time.NewTimer(d).C }
		try("user", "+OK")
		try("user", tooSoon)
		wait(40 * time.Second)
		try("user", tooSoon)
		try("other", "+OK")
		wait(20 * time.Second)
		try("user", "+OK")
		try("other", tooSoon)
		try("user", tooSoon)
	})
}

// When the store fails, the client is told that it is for now, nothing is lost, and a
// list or a text that was begun is not ended as if it were whole.
//
// Covers HI9.
func TestStoreFails(t *testing.T) {
	h := newHouse("user", "Subject: one\r\n\r\ntext\r\n", "Subject: two\r\n\r\n")
	_, dial := start(t, &pop3.Options{}, h)
	broken := errors.New("disk on fire")
	begin := func() *talk {
		h.set(nil)
		c := newTalk(t, dial())
		c.login("user", "+OK")
		h.set(broken)
		return c
	}
	c := begin()
	for _, command := range []string{"STAT", "LIST 1", "UIDL 1", "RETR 1", "TOP 1 1"} {
		c.want(command, "-ERR [SYS/TEMP] Cannot be read now")
	}
	c.want("DELE 1", "+OK Marked")
	c.want("QUIT", "-ERR [SYS/TEMP] Some messages were not removed")
	c.end()
	for _, command := range []string{"LIST", "UIDL"} {
		c = begin()
		c.want(command, "+OK")
		if rest, err := io.ReadAll(c.in); err != nil || strings.Contains(string(rest), "\r\n.\r\n") {
			t.Errorf("%s: %q, %v", command, rest, err)
		}
	}
	h.set(nil)
	h.damage = true
	c = newTalk(t, dial())
	c.login("user", "+OK")
	c.want("RETR 1", "+OK 22 octets")
	if rest, err := io.ReadAll(c.in); err != nil || strings.Contains(string(rest), "\r\n.\r\n") {
		t.Errorf("a damaged text: %q, %v", rest, err)
	}
	if got := h.left("user"); got != "uid1 uid2" {
		t.Errorf("left is %q", got)
	}
}

package app_test

import (
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

const guessedAt = `[[listener]]
address = "127.0.0.1:587"
service = "submission"
tls = "off"
[[listener]]
address = "127.0.0.1:110"
service = "pop3"
tls = "off"
[local]
domains = ["here.example"]
[users]
delay = "0s"
[limits]
login_failures_per_client = 6
login_failures_per_account = 10
login_window = "1d"
`

// pop3 logs in by POP3 from an address and returns the answer to the password.
func (a *appliance) pop3(from, user, password string) string {
	a.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", a.Addresses()[1])
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	text, said := textproto.NewConn(conn), ""
	for _, line := range []string{"", "USER " + user, "PASS " + password} {
		if line != "" {
			if err := text.PrintfLine("%s", line); err != nil {
				a.t.Fatal(err)
			}
		}
		if said, err = text.ReadLine(); err != nil {
			a.t.Fatal(err)
		}
	}
	return said
}

// auth logs in by SMTP from an address and returns the reply.
func (a *appliance) auth(from, user, password string) string {
	a.t.Helper()
	c := a.dial(from).hello()
	defer func() { _ = c.conn.Close() }()
	return c.say("AUTH PLAIN " + plain(user, password))
}

// Who guesses is not heard any more, by whatever protocol; who guesses from many
// places is not heard for that account, but its owner is, from where he was before.
// Nobody else notices.
//
// Covers A9, HR4.
func TestGuessersAreSlowedDown(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"alice@here.example", "bob@here.example"} {
		addUser(t, dir, name, goodPassword)
	}
	a := startIn(t, dir, configure(t, dir, guessedAt), nil)
	const owner, guesser = "127.0.0.9", "127.0.0.2"
	expect := func(what, got, want string) {
		t.Helper()
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("the owner", a.auth(owner, "alice", goodPassword), "235 ")
	for i := range 3 {
		expect("a guess by SMTP", a.auth(guesser, "alice", fmt.Sprint("guess", i)), "535 5.7.8 ")
		expect("a guess by POP3", a.pop3(guesser, "nobody", fmt.Sprint("guess", i)), "-ERR [AUTH]")
	}
	for range 3 {
		expect("one guess more", a.auth(guesser, "bob", "guess"), "454 4.7.0 ")
		expect("one guess more by POP3", a.pop3(guesser, "alice", "guess"), "-ERR [SYS/TEMP]")
	}
	expect("the right password from there", a.auth(guesser, "alice", goodPassword), "454 4.7.0 ")
	expect("another user from elsewhere", a.auth("127.0.0.3", "bob", goodPassword), "235 ")

	for i := range 7 { // three were counted already
		expect("a guess from many places", a.auth(fmt.Sprintf("127.0.1.%d", i+1), "alice", fmt.Sprint("other", i)), "535 5.7.8 ")
	}
	expect("a guess from one more", a.auth("127.0.1.100", "alice", "other"), "454 4.7.0 ")
	expect("the right password from one more", a.pop3("127.0.1.101", "alice", goodPassword), "-ERR [SYS/TEMP]")
	expect("another user from there", a.auth("127.0.1.101", "bob", goodPassword), "235 ")
	expect("the owner", a.auth(owner, "alice", goodPassword), "235 ")
	expect("the owner by POP3", a.pop3(owner, "alice", goodPassword), "+OK")
	expect("the owner with a slip", a.auth(owner, "alice", "slip"), "535 5.7.8 ")
	expect("the owner after it", a.auth(owner, "alice", goodPassword), "235 ")
	a.stop()
	for event, want := range map[string]int{`"result":"bad_password"`: 11, `"result":"unknown_user"`: 3, `"result":"throttled"`: 9, `"ev":"login",`: 6} {
		if got := len(a.events(event, `"service":"`)); got != want {
			t.Errorf("%d events with %s, want %d:\n%s", got, event, want, strings.Join(a.events(`"service":"`), ""))
		}
	}
	if got := len(a.events(`"ev":"login_failed"`, `"client":"`+guesser+`"`, `"service":"pop3"`, `"mech":"USER"`)); got != 6 {
		t.Errorf("%d failures by POP3 are told", got)
	}
}

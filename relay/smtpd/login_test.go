package smtpd_test

import (
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"postrider/internal/dialogue"
	"postrider/relay/smtpd"
)

// What a client may say of AUTH, in transcripts: in clear and by TLS, where users
// must log in and where they may.
//
// Covers R12, HS17.
func TestLoginDialogues(t *testing.T) {
	paths, err := filepath.Glob("testdata/auth/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			o := &smtpd.Options{Handler: r, Auth: logins(t, people{}), TLS: certificate, Limits: smtpd.Limits{MessageBytes: 1_000_000}}
			switch {
			case strings.HasPrefix(name, "clear"): // where passwords may come in clear
				o.TLS, o.ClearLogin = nil, netip.Addr.IsLoopback
			case strings.HasPrefix(name, "submission"):
				o.RequireLogin = true
			case strings.HasPrefix(name, "musttls"):
				o.RequireLogin, o.RequireTLS = true, true
			case strings.HasPrefix(name, "lmtp"):
				o.LMTP = true
			case strings.HasPrefix(name, "none"):
				o.Auth = nil
			}
			_, dial := start(t, o)
			dialogue.Run(t, path, dial())
			r.holdNoSecret(t)
			for _, m := range r.taken() {
				if want := map[bool]string{true: "ESMTPA", false: "ESMTPSA"}[o.TLS == nil]; m.protocol != want {
					t.Errorf("%s was taken by %s, want %s", m.from, m.protocol, want)
				}
			}
		})
	}
}

// holdNoSecret looks for a password, in any form that it travels in, in what the
// events of the sessions tell.
func (r *recorder) holdNoSecret(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		for _, form := range secrets(password) {
			if strings.Contains(string(e.Argument)+string(e.Status.Text)+e.Rule, form) {
				t.Errorf("an event of %s holds a password: %q", e.Command, e.Argument)
			}
		}
	}
}

// Lines of an exchange have room for tokens; what is longer is read over and
// refused, and the session goes on.
//
// Covers HS17.
func TestLongResponses(t *testing.T) {
	o := &smtpd.Options{Auth: logins(t, people{}), ClearLogin: netip.Addr.IsLoopback}
	_, dial := start(t, o)
	most := strings.Repeat("AAAA", 12288/4)
	for _, c := range []struct{ line, want string }{
		{"AUTH PLAIN " + most, "501 5.5.2 "},                           // NULs without end are no login
		{"AUTH PLAIN " + most + strings.Repeat("A", 64), "500 5.5.6 "}, //
		{"AUTH PLAIN " + strings.Repeat("A", 1<<20), "500 5.5.6 "},
		{"AUTH PLAIN\r\n" + most[:12286], "501 5.5.2 "},
		{"AUTH PLAIN\r\n" + most + strings.Repeat("A", 64), "500 5.5.6 "},
		{"AUTH PLAIN\r\n" + strings.Repeat("A", 1<<20), "500 5.5.6 "},
		{"AUTH LOGIN\r\n" + strings.Repeat("*", 1<<20), "500 5.5.6 "},
		{"AUTH " + strings.Repeat("A", 600), "501 5.5.4 "},
		{"NOOP " + strings.Repeat("A", 3000), "500 5.5.2 "},
	} {
		nc := dial()
		client := newClient(t, nc)
		client.expect("220 ")
		client.say("EHLO client.example")
		client.expect("250 ")
		head, tail, two := strings.Cut(c.line, "\r\n")
		client.say(head)
		if two {
			client.expect("334")
			client.say(tail)
		}
		client.expect(c.want)
		client.say("NOOP")
		client.expect("250 2.0.0 ")
		client.say("AUTH PLAIN " + plain("alice", password))
		client.expect("235 2.7.0 ")
		_ = nc.Close()
	}
}

// A login that is being checked ends with the drain.
//
// Covers R12.
func TestALoginThatLasts(t *testing.T) {
	p := people{began: make(chan struct{}), end: make(chan struct{})}
	defer close(p.end)
	s, dial := start(t, &smtpd.Options{Auth: logins(t, p), ClearLogin: netip.Addr.IsLoopback})
	client := newClient(t, dial())
	client.expect("220 ")
	client.say("EHLO client.example")
	client.expect("250 ")
	client.say("AUTH PLAIN " + plain("slow", password))
	<-p.began // it is being checked
	if err := s.Drain(); err != nil {
		t.Fatal(err)
	}
	client.expect("421 4.3.2 ")
}

// A session that could have a login allocates nothing for a message, and neither
// does one that has it.
func TestLoginsCostMessagesNothing(t *testing.T) {
	for _, user := range []string{"", "alice"} {
		o := discarding()
		o.Auth, o.ClearLogin = logins(t, people{}), netip.Addr.IsLoopback
		_, dial := start(t, o)
		nc := dialHello(t, dialAddr(t, dial))
		if user != "" {
			client := newClient(t, nc)
			client.say("AUTH PLAIN " + plain(user, password))
			client.expect("235 ")
		}
		data, replies := transaction(4 << 10)
		runtime.GC()
		if n := testing.AllocsPerRun(1000, exchange(t, nc, data, replies)); n > 0 && !raceEnabled {
			t.Errorf("%v allocations a message for user %q", n, user)
		}
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Whatever a client sends behind AUTH, and as responses, each line has one reply
// and the session goes on.
//
// Covers HS17.
func FuzzAuth(f *testing.F) {
	f.Add("PLAIN", "=", "*")
	f.Add("PLAIN "+plain("alice", password), "", "")
	f.Add("LOGIN", "YWxpY2U=", "cGE1NS13MHJk")
	f.Add("login YWxpY2U=", "cGE1NS13MHJk", "x")
	f.Add("XOAUTH2 "+strings.Repeat("A", 9000), "", "")
	f.Add("SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiY2Q=", "Yz1iaXdzLHI9YQ==", "")
	f.Add("PLAIN \xff\x00", "\r\n", "A")
	f.Add("", "AUTH PLAIN", "QUIT")
	_, dial := start(f, &smtpd.Options{Auth: logins(f, people{}), ClearLogin: netip.Addr.IsLoopback, Limits: smtpd.Limits{Logins: 1 << 30, Errors: 1 << 30}})
	probe := dial()
	address := probe.RemoteAddr().String()
	_ = probe.Close()
	f.Fuzz(func(t *testing.T, argument, first, second string) {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		client := newClient(t, nc)
		client.expect("220 ")
		client.say("EHLO client.example")
		client.expect("250 ")
		for _, line := range []string{"AUTH " + argument, first, second} {
			if strings.Contains(line, "\r\n") || strings.HasSuffix(line, "\r") || len(line) > 1<<16 {
				return
			}
			client.say(line)
			switch reply := client.reply(); reply[:3] {
			case "235":
				if !strings.HasPrefix(strings.ToUpper(argument), "PLAIN") && !strings.HasPrefix(strings.ToUpper(argument), "LOGIN") {
					t.Fatalf("%q %q %q logged in", argument, first, second)
				}
			case "221", "421", "554":
				return // QUIT, or the session has had enough
			case "334", "250", "252", "214", "500", "501", "502", "503", "504", "535", "538", "555", "530", "354", "454":
			default:
				t.Fatalf("%q: %q", line, reply)
			}
		}
	})
}

package pull_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postrider/delivery/transfer"
	"postrider/delivery/transfer/pull"
	"postrider/delivery/transfer/transfertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// popServer is a POP3 server for one user.
type popServer struct {
	t     *testing.T
	l     net.Listener
	done  sync.WaitGroup
	texts []string // "" is refused
	// breaks closes each connection after so many RETR; 0: never.
	breaks int
	stray  string // said in the place of the next reply to RETR
	sent   []string
}

func servePOP3(t *testing.T, s *popServer) pull.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.l = t, l
	s.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.session(conn) // one after the other, as the client does it
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.done.Wait() })
	return pull.Server{Address: l.Addr().String(), User: "u", Password: "p", Timeout: time.Minute}
}

func (s *popServer) session(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("+OK hello")
	retrieved := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		s.sent = append(s.sent, verb)
		switch verb {
		case "USER", "PASS":
			say("+OK")
		case "UIDL", "LIST":
			say("+OK")
			for i, text := range s.texts {
				if verb == "UIDL" {
					say("%d id-%d", i+1, i+1)
				} else {
					say("%d %d", i+1, len(text))
				}
			}
			say(".")
		case "RETR":
			if s.breaks > 0 && retrieved == s.breaks {
				return
			}
			retrieved++
			if s.stray != "" {
				say("%s", s.stray)
				return
			}
			var n int
			fmt.Sscan(arg, &n)
			if s.texts[n-1] == "" {
				say("-ERR no")
				continue
			}
			say("+OK\r\n%s.", strings.ReplaceAll(s.texts[n-1], "\r\n.", "\r\n.."))
		default:
			say("-ERR what")
		}
	}
}

func pop3(t *testing.T, s *popServer, to transfer.Store) (transfer.Report, []string, error) {
	t.Helper()
	from, err := pull.OpenPOP3(t.Context(), servePOP3(t, s))
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	i := transfer.Import{From: from, To: to, Account: "user", Failed: func(name string, err error) { failed = append(failed, name+": "+err.Error()) }}
	report, err := i.Run(t.Context())
	_ = from.Close() // broken by some tests
	return report, failed, err
}

func TestPOP3(t *testing.T) {
	s := popServer{texts: []string{
		"Received: from a\r\n\tby b; Mon, 1 Jan 2024\r\n 10:00:00 +0100\r\nSubject: 1\r\n\r\n.dot\r\n..\r\n", "", "Subject: 3\r\n\r\n", "Received: x; nonsense\r\n\r\n",
	}}
	var to transfertest.Store
	report, failed, err := pop3(t, &s, &to)
	if err != nil || report.Messages != 3 || len(failed) != 1 || !strings.Contains(failed[0], "message 2") {
		t.Fatalf("%+v, %q, %v", report, failed, err)
	}
	first := to.Box("INBOX").Filed[0]
	if string(first.Text) != s.texts[0] || first.UIDL != "id-1" || first.Received.Unix() != 1704099600 {
		t.Errorf("%+v %q", first.Message, first.Text)
	}
	for _, verb := range s.sent {
		if verb == "DELE" {
			t.Error("something was deleted")
		}
	}
	s.texts[1] = "Subject: 2\r\n\r\n"
	from, err := pull.OpenPOP3(t.Context(), pull.Server{Address: s.l.Addr().String(), User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	i := transfer.Import{From: from, To: &to, Account: "user"}
	if report, err = i.Run(t.Context()); err != nil || report.Messages != 1 || report.Known != 3 {
		t.Errorf("%+v, %v", report, err)
	}
	if err := from.Close(); err != nil {
		t.Error(err)
	}
}

// A server that hangs up is called again, while it brings something each time.
func TestPOP3Breaks(t *testing.T) {
	s := popServer{breaks: 2}
	for i := range 7 {
		s.texts = append(s.texts, fmt.Sprintf("Subject: %d\r\n\r\n", i))
	}
	var to transfertest.Store
	if report, failed, err := pop3(t, &s, &to); err != nil || report.Messages != 7 || len(failed) > 0 {
		t.Errorf("%+v, %q, %v", report, failed, err)
	}
	for i, m := range to.Box("INBOX").Filed {
		if string(m.Text) != s.texts[i] {
			t.Errorf("message %d is %q", i, m.Text)
		}
	}
	dead := popServer{texts: s.texts, stray: "+ nonsense"}
	if report, failed, err := pop3(t, &dead, &transfertest.Store{}); err != nil || report.Messages != 0 || len(failed) != 1 {
		t.Errorf("a server that brings nothing: %+v, %q, %v", report, failed, err)
	}
	endless := popServer{texts: s.texts, stray: strings.Repeat("x", 100_000)}
	if report, failed, err := pop3(t, &endless, &transfertest.Store{}); err != nil || report.Messages != 0 || len(failed) != 1 {
		t.Errorf("a line without end: %+v, %q, %v", report, failed, err)
	}
}

// A password is not sent in clear beyond the machine, and not with a line end.
func TestPOP3Login(t *testing.T) {
	at := servePOP3(t, &popServer{})
	at.Password = "a\r\nDELE 1"
	if _, err := pull.OpenPOP3(t.Context(), at); err == nil {
		t.Error("a line end in a password was sent")
	}
	at.Address = "127.0.0.1:1"
	if _, err := pull.OpenPOP3(t.Context(), at); err == nil || errors.Is(err, pull.ErrClear) {
		t.Errorf("nobody there: %v", err)
	}
}

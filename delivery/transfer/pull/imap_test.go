package pull_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/delivery/transfer/pull"
	"postrider/delivery/transfer/transfertest"
)

// serveIMAP serves mailboxes whose messages are made by fill.
func serveIMAP(t *testing.T) (pull.Server, *imapmemserver.User) {
	t.Helper()
	user := imapmemserver.NewUser("u", "p")
	memory := imapmemserver.New()
	memory.AddUser(user)
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		InsecureAuth: true,
		Caps:         imap.CapSet{imap.CapIMAP4rev1: {}},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends by Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return pull.Server{Address: l.Addr().String(), User: "u", Password: "p", Timeout: time.Minute}, user
}

func add(t *testing.T, user *imapmemserver.User, box, text string, flags ...imap.Flag) {
	t.Helper()
	_, err := user.Append(box, literal{strings.NewReader(text)}, &imap.AppendOptions{Flags: flags, Time: time.Unix(1700000000, 0)})
	if err != nil {
		t.Fatal(err)
	}
}

type literal struct{ *strings.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

func TestIMAP(t *testing.T) {
	at, user := serveIMAP(t)
	for _, name := range []string{"INBOX", "Sent/B\u00fcro", "Empty"} {
		if err := user.Create(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	texts := make([]string, 1100)
	for i := range texts {
		texts[i] = fmt.Sprintf("Subject: %d\r\n\r\n%s\xff\r\n", i, strings.Repeat("x", i))
		add(t, user, "INBOX", texts[i], imap.FlagSeen, imap.FlagForwarded)
	}
	add(t, user, "Sent/B\u00fcro", "Subject: sent\r\n\r\n", imap.FlagDraft)
	from, err := pull.OpenIMAP(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	var to transfertest.Store
	run := func() (transfer.Report, error) {
		i := transfer.Import{From: from, To: &to, Account: "user", Failed: func(name string, err error) { t.Errorf("%s: %v", name, err) }}
		return i.Run(t.Context())
	}
	if report, err := run(); err != nil || report.Messages != 1101 || report.Folders != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	inbox := to.Box("INBOX")
	for i, m := range inbox.Filed {
		if string(m.Text) != texts[i] || m.UID != uint32(i+1) || m.Flags != mailbox.FlagSeen || len(m.Keywords) != 1 || m.Received.Unix() != 1700000000 {
			t.Fatalf("message %d is %+v %q", i, m.Message, m.Text)
		}
	}
	if to.Box("Sent/B\u00fcro").Filed[0].Flags != mailbox.FlagDraft || to.Box("Empty") == nil || inbox.UIDValidity == 77 {
		t.Errorf("%+v", inbox.Folder)
	}
	add(t, user, "INBOX", "Subject: new\r\n\r\n")
	if report, err := run(); err != nil || report.Messages != 1 || report.Known != 1101 {
		t.Errorf("%+v, %v", report, err)
	}
	if err := from.Close(); err != nil {
		t.Error(err)
	}
}

// hangUp stands before a server and hangs up on each client after so many octets
// of answers; the server notices nothing until it has said all.
func hangUp(t *testing.T, server string, after int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			all.Go(func() {
				_, _ = io.Copy(behind, client)
				_ = behind.(*net.TCPConn).CloseWrite()
			})
			all.Go(func() {
				_, _ = io.CopyN(client, behind, after)
				_ = client.Close()
				_, _ = io.Copy(io.Discard, behind)
				_ = behind.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

// A server that hangs up is called again, while it brings something each time.
func TestIMAPBreaks(t *testing.T) {
	at, user := serveIMAP(t)
	at.Address = hangUp(t, at.Address, 100_000)
	if err := user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		add(t, user, "INBOX", fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("x", 10_000)))
	}
	from, err := pull.OpenIMAP(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	var to transfertest.Store
	i := transfer.Import{From: from, To: &to, Account: "user", Failed: func(name string, err error) { t.Errorf("%s: %v", name, err) }}
	report, err := i.Run(t.Context())
	if err != nil || report.Messages != 30 {
		t.Errorf("%+v, %v", report, err)
	}
	for k, m := range to.Box("INBOX").Filed {
		if len(m.Text) != 10_000+len(fmt.Sprintf("Subject: %d\r\n\r\n\r\n", k)) {
			t.Errorf("message %d was cut to %d octets", k, len(m.Text))
		}
	}
	_ = from.Close()
}

func TestIMAPLogin(t *testing.T) {
	at, _ := serveIMAP(t)
	at.Password = "wrong"
	if _, err := pull.OpenIMAP(t.Context(), at); err == nil {
		t.Error("logged in with a wrong password")
	}
}

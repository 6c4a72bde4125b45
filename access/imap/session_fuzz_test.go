package imap_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"postrider/access/imap"
)

// Whatever a client says, before or after its login, the session ends when the client
// goes, and does not panic.
//
// Covers HI1, HI2.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"a NOOP\r\nb LOGOUT\r\n",
		"a SELECT INBOX (QRESYNC (1 1 1:* (1 1)))\r\nb FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (A)]<0.5> ENVELOPE)\r\n",
		"a APPEND INBOX (\\Seen) {3+}\r\nabc\r\nb STATUS INBOX (MESSAGES)\r\nc IDLE\r\nDONE\r\n",
		"a SEARCH OR NOT (ALL) SUBJECT {1+}\r\nx\r\n",
		"a LIST (SUBSCRIBED) \"\" (\"*\" %) RETURN (STATUS (MESSAGES))\r\nb NOTIFY SET (PERSONAL (MessageNew MessageExpunge))\r\n",
		"a ENABLE QRESYNC UTF8=ACCEPT IMAP4rev2\r\nb SELECT INBOX\r\nc STORE 1 (UNCHANGEDSINCE 1) +FLAGS (x)\r\nd EXPUNGE\r\ne UID MOVE 1 INBOX\r\n",
		"a AUTHENTICATE PLAIN\r\n*\r\nb UNAUTHENTICATE\r\nc COMPRESS DEFLATE\r\n\x00\x01",
		"{99999999999+}\r\n", "a GETMETADATA (DEPTH infinity) \"\" /private\r\n", "a REPLACE 1 INBOX {1+}\r\nx\r\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	h := newHouse(f, func(o *imap.Options) { o.Limits.Linger = time.Nanosecond })
	h.deliver("INBOX", "Subject: x\r\n\r\ntext\r\n", "Subject: y\r\n\r\ntext\r\n")
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s := imap.NewServer("fuzz", nil, func() *imap.Options { return h.o })
	served := make(chan error, 1)
	go func() { served <- s.Serve(p) }()
	f.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			f.Error(err)
		}
		if err := <-served; err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, said []byte, known bool) {
		nc := p.dial()
		if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answered := make(chan []byte, 1)
		go func() {
			b, _ := io.ReadAll(nc)
			answered <- b
		}()
		if known {
			_, _ = io.WriteString(nc, loginLine)
		}
		_, _ = nc.Write(said) // the session may end first
		_, _ = io.WriteString(nc, "\r\nDONE\r\n.. LOGOUT\r\n.. LOGOUT\r\n")
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
		if answer := <-answered; bytes.Contains(answer, []byte("SERVERBUG")) {
			t.Errorf("%q: %q", said, answer)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range h.events {
			if e.Kind == imap.Panicked {
				t.Fatalf("%q: %v\n%s", said, e.Panic, e.Stack)
			}
		}
		h.events = h.events[:0]
	})
}

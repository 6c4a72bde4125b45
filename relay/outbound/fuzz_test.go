package outbound_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/outbound"
	"postrider/relay/smtp"
)

// FuzzServer plays a server that says whatever it likes, all at once, and then
// ends the connection. Whatever that is, every delivery is given back, nothing
// hangs, and a text is only taken for delivered if it was sent to its end.
// Covers HS16, HS14.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n221 x\r\n",
		"220 x\r\n250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS\r\n220 go\r\n",
		"220 x\r\n250-x\r\n250-PIPELINING\r\n250-DSN\r\n250 AUTH LOGIN PLAIN\r\n334 VXNlcjo=\r\n334 UGFzczo=\r\n235 ok\r\n250 x\r\n",
		"220 x\r\n250-x\r\n250 AUTH SCRAM-SHA-256\r\n334 cj1hLHM9YWE9PSxpPTQwOTY=\r\n250 x\r\n",
		"220 x\r\n500 x\r\n250 x\r\n250 x\r\n452 x\r\n554 x\r\n421 x\r\n",
		"554 no\r\n", "421 later\r\n", "220-x\r\n220-y", "\x00\xff\r\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, says []byte, login bool) {
		var wg sync.WaitGroup
		defer wg.Wait()
		o := outbound.Options{Timeouts: smtp.Timeouts{Quit: time.Millisecond}}
		o.Connect = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			wg.Go(func() {
				defer func() { _ = theirs.Close() }()
				_ = theirs.SetDeadline(time.Now().Add(10 * time.Second))
				wg.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
				_, _ = theirs.Write(says)
			})
			return ours, nil
		}
		eg := &mail.Egress{Hop: pipeHop, TLS: mail.TLSPolicy{Level: mail.TLSMay}}
		if login {
			eg.TLS.Level, eg.Login = mail.TLSNone, &mail.Login{User: "u", Password: "p"}
		}
		src := newSource(t, delivery(&hello, "s@x", "a@y", "b@y"), delivery(&hello, "s@x", "a@y"))
		err := outbound.New(o).Serve(t.Context(), nil, eg, src)
		src.settled()
		var e *outbound.Error
		if err != nil && (!errors.As(err, &e) || e.Status.Code < 400) {
			t.Errorf("%v", err)
		}
		for i, d := range src.done {
			for _, o := range d.Outcomes {
				if o.OK() && !d.DotSent {
					t.Errorf("delivery %d: %v, and its end was not sent", i, o)
				}
			}
		}
	})
}

package smtpd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	netsmtp "net/smtp"
	"runtime"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"postrider/internal/mail"
	"postrider/internal/wire"
	"postrider/relay/smtpd"
)

const peerText = "Subject: x\r\n\r\n.a line with a dot\r\n..two\r\n.\r\nend\r\n"

// net/smtp is a client that nobody here wrote.
//
// Covers R1, R10.
func TestNetSMTPClient(t *testing.T) {
	r := &recorder{}
	_, dial := start(t, &smtpd.Options{Handler: r, TLS: certificate})
	c, err := netsmtp.NewClient(dial(), "mx.example")
	if err != nil {
		t.Fatal(err)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(c.Hello("client.example"))
	do(c.StartTLS(&tls.Config{InsecureSkipVerify: true}))
	for range 3 {
		do(c.Mail("a@client.example"))
		do(c.Rcpt("b@far.example"))
		w, err := c.Data()
		do(err)
		_, err = w.Write([]byte(peerText))
		do(err)
		do(w.Close())
	}
	do(c.Quit())
	m := r.taken()
	if len(m) != 3 || m[2].text != peerText || m[2].protocol != "UTF8SMTPS" {
		t.Errorf("%d messages: %+v", len(m), m)
	}
}

// go-smtp's client, in clear, by implicit TLS (RFC 8314) and by LMTP.
//
// Covers R8, R11.
func TestGoSMTPClient(t *testing.T) {
	for _, c := range []struct {
		name, protocol string
		o              smtpd.Options
		client         func(nc net.Conn) *gosmtp.Client
	}{
		{"clear", "ESMTP", smtpd.Options{}, gosmtp.NewClient},
		{"implicit", "ESMTPS", smtpd.Options{TLS: certificate, ImplicitTLS: true}, func(nc net.Conn) *gosmtp.Client {
			return gosmtp.NewClient(tls.Client(nc, &tls.Config{InsecureSkipVerify: true}))
		}},
		{"lmtp", "LMTP", smtpd.Options{LMTP: true}, gosmtp.NewClientLMTP},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorder{}
			c.o.Handler = r
			_, dial := start(t, &c.o)
			cl := c.client(dial())
			do := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			do(cl.Hello("client.example"))
			do(cl.Mail("a@client.example", &gosmtp.MailOptions{Size: 50, Body: gosmtp.Body8BitMIME, Return: gosmtp.DSNReturnFull, EnvelopeID: "id 1"}))
			do(cl.Rcpt("b@far.example", &gosmtp.RcptOptions{Notify: []gosmtp.DSNNotify{gosmtp.DSNNotifyFailure}, OriginalRecipientType: gosmtp.DSNAddressTypeRFC822, OriginalRecipient: "x@far.example"}))
			w, err := cl.Data()
			do(err)
			_, err = w.Write([]byte(peerText))
			do(err)
			do(w.Close())
			do(cl.Quit())
			m := r.taken()
			if len(m) != 1 || m[0].text != peerText || m[0].protocol != c.protocol || string(m[0].mail.EnvelopeID) != "id+201" ||
				m[0].rcpt[0].Notify != mail.NotifyFailure || string(m[0].rcpt[0].Original) != "RFC822;x@far.example" {
				t.Errorf("%+v", m)
			}
		})
	}
}

// A client that talks before the greeting is shown the door: at once when it was
// faster than our look, or within the greeting's delay.
//
// Covers R21, HS11.
func TestEarlyTalker(t *testing.T) {
	r := &recorder{}
	_, dial := start(t, &smtpd.Options{Handler: r, Limits: smtpd.Limits{GreetDelay: 5 * time.Second}})
	nc := dial()
	if _, err := nc.Write([]byte("EHLO client.example\r\n")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	n, err := nc.Read(buf)
	if got := string(buf[:n]); err != nil || got != "554 5.5.1 You talk before it is your turn\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := nc.Read(buf); err == nil {
		t.Errorf("and then %q", buf[:n])
	}
	if err := nc.Close(); err != nil {
		t.Error(err)
	}
	if r.rules() != "early_talker" {
		t.Error(r.rules())
	}
}

// A panic in a session ends it with 421 and no other.
func TestPanicEndsOneSession(t *testing.T) {
	r := &recorder{}
	m := &smtpd.Metrics{}
	inBubble(t, &smtpd.Options{Handler: r, Metrics: m, Events: r.event}, func(t *testing.T, p *pipes) {
		if got := last(converse(p, hello, "MAIL FROM:<a@client.example>\r\nRCPT TO:<panic@far.example>\r\n"), 1); got != "421 4.3.0 Internal error, come back later" {
			t.Error(got)
		}
		if got := last(converse(p, hello, begin+"DATA\r\n.\r\n"), 1); got != "250 2.0.0 queued" {
			t.Error(got)
		}
	})
	if m.Panics.Load() != 1 || m.Connections.Load() != 0 || m.Accepted.Load() != 2 || r.log() != "mail reset close mail data commit close" {
		t.Errorf("%d panics, %d open: %s", m.Panics.Load(), m.Connections.Load(), r.log())
	}
	if e := r.events[0]; e.Rule != "panic" || e.Panic == nil || len(e.PanicText) == 0 || e.Command != "RCPT" {
		t.Errorf("event %+v", e)
	}
}

// What a stranger said reaches the events as raw octets of one argument, and no
// octet of it or of a session's status can forge a reply line.
//
// Covers HG1.
func TestNoForgedLines(t *testing.T) {
	r := &recorder{commit: func(*smtpd.Conn) mail.Status {
		return mail.NewStatus(451, 4, 3, 0, "no\r\n250 2.0.0 forged\x1b[31m"+strings.Repeat("x", 600))
	}}
	inBubble(t, &smtpd.Options{Handler: r, Events: r.event}, func(t *testing.T, p *pipes) {
		said := converse(p, "EHLO a\x1b[31mb\r\n", "EHLO a\xe2\x80\xa8b\r\n", hello, begin, "DATA\r\n", ".\r\n")
		got := said[len(said)-1]
		if !strings.HasPrefix(got, "451 4.3.0 no  250 2.0.0 forged [31mxxx") || len(got) != 510 {
			t.Errorf("%d octets: %q", len(got), got)
		}
	})
	if r.rules() != "line line handler" || string(r.events[0].Argument) != "a\x1b[31mb" || string(r.events[2].Sender) != "a@client.example" {
		t.Errorf("%s %+v", r.rules(), r.events)
	}
}

// A drain tells those who wait 421, lets a text that has begun end with its
// reply, and takes nobody new.
//
// Covers C2.
func TestDrain(t *testing.T) {
	r := &recorder{}
	o := &smtpd.Options{Hostname: "mx.example", Handler: r}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtpd.NewServer("test", wire.NewCensus(), func() *smtpd.Options { return o })
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	idle, busy := dialHello(t, l.Addr().String()), dialHello(t, l.Addr().String())
	buf := make([]byte, 4096)
	expect := func(nc net.Conn, want string) {
		t.Helper()
		n, err := nc.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("%q, %v; want %q", buf[:n], err, want)
		}
	}
	if _, err := busy.Write([]byte(begin + "DATA\r\nthe first half\r\n")); err != nil {
		t.Fatal(err)
	}
	expect(busy, "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n354 End with a dot on a line of its own\r\n")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(ctx) }()
	expect(idle, "421 4.3.2 Shutting down, come back soon\r\n")
	if err := idle.Close(); err != nil {
		t.Error(err)
	}
	late, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	expect(late, "421 4.3.2 Shutting down, come back soon\r\n")
	if _, err := late.Read(buf); !errors.Is(err, io.EOF) {
		t.Errorf("a new connection goes on: %v", err)
	}
	if err := late.Close(); err != nil {
		t.Error(err)
	}
	if _, err := busy.Write([]byte("the other\r\n.\r\n")); err != nil {
		t.Fatal(err)
	}
	n := 0
	for !strings.HasSuffix(string(buf[:n]), "come back soon\r\n") {
		k, err := busy.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	if got := string(buf[:n]); got != "250 2.0.0 queued\r\n421 4.3.2 Shutting down, come back soon\r\n" {
		t.Errorf("%q", got)
	}
	if err := busy.Close(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(<-down, <-served); err != nil {
		t.Error(err)
	}
	if nc, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("a connection was accepted after the end")
		_ = nc.Close()
	}
	if m := r.taken(); len(m) != 1 || m[0].text != "the first half\r\nthe other\r\n" {
		t.Errorf("%+v", m)
	}
}

// Resident memory must not follow the size of texts that are on their way.
//
// Covers R17.
func TestStreams(t *testing.T) {
	c := startChild(t)
	var open []net.Conn
	for range 20 {
		open = append(open, dialHello(t, c.addr))
	}
	_, before := c.usage()
	message, replies := transaction(20 << 20)
	drive(t, open, message, replies, 20)
	_, after := c.usage()
	if grown := after - before; grown > 24<<10 && !raceEnabled {
		t.Errorf("20 texts of 20 MiB at once grew the server by %d KiB", grown)
	}
	for _, nc := range open {
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An idle session costs little more than its goroutine.
//
// Covers HR2.
func TestIdleSessions(t *testing.T) {
	sessions := 10_000
	if raceEnabled {
		sessions = 100 // the detector's own memory would be measured
	}
	c := startChild(t)
	warm := dialHello(t, c.addr)
	_, before := c.usage()
	open := []net.Conn{warm}
	for range sessions {
		open = append(open, dialHello(t, c.addr))
	}
	_, after := c.usage()
	each := (after - before) * 1024 / sessions
	t.Logf("%d octets resident for each idle session", each)
	if each > 8000 && !raceEnabled { // 80 MB for 10,000
		t.Errorf("%d octets for each idle session", each)
	}
	for _, nc := range open {
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The path of a message allocates nothing once its session is warm.
func TestNoAllocations(t *testing.T) {
	_, dial := start(t, discarding())
	nc := dialHello(t, dialAddr(t, dial))
	bdat := []byte(begin + "BDAT 4096 LAST\r\n" + string(corpus(4096)))
	data, replies := transaction(4 << 10)
	runtime.GC()
	for name, f := range map[string]func(){"DATA": exchange(t, nc, data, replies), "BDAT": exchange(t, nc, bdat, 3)} {
		if n := testing.AllocsPerRun(1000, f); n > 0 && !raceEnabled {
			t.Errorf("%v allocations a message by %s", n, name)
		}
	}
	if err := nc.Close(); err != nil {
		t.Error(err)
	}
}

// exchange returns a function that sends b and reads so many lines.
func exchange(t testing.TB, nc net.Conn, b []byte, lines int) func() {
	buf := make([]byte, 4096)
	return func() {
		if _, err := nc.Write(b); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < lines; {
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range buf[:n] {
				if c == '\n' {
					got++
				}
			}
		}
	}
}

func dialAddr(t *testing.T, dial func() net.Conn) string {
	t.Helper()
	nc := dial()
	defer func() { _ = nc.Close() }()
	return nc.RemoteAddr().String()
}

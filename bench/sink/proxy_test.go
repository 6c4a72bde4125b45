package sink_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/bench/ledger"
	"postrider/bench/result"
	"postrider/bench/sink"
)

// proxy stands between generator and sink and does wrong to a few messages.
type proxy struct {
	t      *testing.T
	to     string
	wrongs map[uint64]string // by message number
}

// serve takes mail until ctx ends.
func (p *proxy) serve(ctx context.Context, l net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			defer func() { _ = conn.Close() }()
			p.session(textproto.NewConn(conn))
		})
	}
}

func (p *proxy) session(c *textproto.Conn) {
	reply := func(line string) { _ = c.PrintfLine("%s", line) }
	reply("220 proxy")
	var to []string
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); verb {
		case "RCPT":
			to = append(to, line[strings.IndexByte(line, '<')+1:strings.IndexByte(line, '>')])
			reply("250 ok")
		case "DATA":
			reply("354 go on")
			text, err := io.ReadAll(c.DotReader())
			if err != nil {
				return
			}
			reply(p.pass(to, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))))
			to = nil
		case "QUIT":
			reply("221 bye")
			return
		default:
			reply("250 ok")
		}
	}
}

// pass hands a message on, or does what is wrong with it, and returns the reply.
func (p *proxy) pass(to []string, text []byte) string {
	send := func() {
		if err := smtp.SendMail(p.to, nil, "s@x.test", to, text); err != nil {
			p.t.Error(err)
		}
	}
	seq, _, ok := ledger.ParseRecipient([]byte(to[0]))
	if !ok {
		p.t.Errorf("%q names no duty", to[0])
	}
	switch p.wrongs[seq] {
	case "drop":
		return "250 ok"
	case "bounce":
		report := fmt.Sprintf(dsn, to[0], to[0])
		if err := smtp.SendMail(p.to, nil, "", []string{"load@bench.invalid"}, []byte(strings.ReplaceAll(report, "\n", "\r\n"))); err != nil {
			p.t.Error(err)
		}
		return "250 ok"
	case "repeat":
		send()
	case "flip":
		text[len(text)-3] ^= 1
	case "phantom":
		send()
		return "550 5.7.1 no"
	}
	send()
	return "250 ok"
}

const dsn = `From: MAILER-DAEMON
Subject: failed
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not work.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; proxy

Original-Recipient: rfc822;%s
Final-Recipient: rfc822;%s
Action: failed
Status: 5.1.1

--b--
`

// Of a thousand messages one is dropped, one doubled, one damaged, one refused and
// delivered all the same, one bounced: the ledger names each, and nothing else.
func TestWrongsAreNamed(t *testing.T) {
	const messages, rcpts = 1000, 2
	book := ledger.New(77)
	f := startFarm(t, front(sink.FarmOptions{Ledger: book, Verify: true, Sender: "bench.invalid"}))
	wrongs := map[uint64]string{100 * rcpts: "drop", 200 * rcpts: "repeat", 300 * rcpts: "flip", 400 * rcpts: "phantom", 500 * rcpts: "bounce"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { (&proxy{t, f.FrontAddr(), wrongs}).serve(ctx, l) })
	defer wg.Wait()
	defer cancel()
	var senders sync.WaitGroup
	for w := range 4 {
		senders.Go(func() {
			c := dial(t, l.Addr().String())
			if got := c.reply() + " " + c.say("EHLO x"); got != "220 250" {
				t.Error(got)
			}
			for range messages / 4 {
				seq := book.Issue(rcpts)
				end := ledger.Accepted
				got := c.say("MAIL FROM:<load@bench.invalid>", fmt.Sprintf("RCPT TO:<r%d.0@d0.bench.test>", seq), fmt.Sprintf("RCPT TO:<r%d.1@d1.bench.test>", seq), "DATA", text(77, seq, w, time.Now()))
				if got == "250 250 250 354 550" {
					end = ledger.Refused
				} else if got != "250 250 250 354 250" {
					t.Error(got)
				}
				for n := range rcpts {
					book.End(seq, n, end)
				}
			}
		})
	}
	senders.Wait()
	got := book.Totals(0)
	want := result.Ledger{
		Duties: messages * rcpts, Accepted: (messages - 1) * rcpts, Refused: rcpts,
		Once: (messages - 4) * rcpts, Duplicated: rcpts, Copies: rcpts, Bounced: 1, Lost: rcpts + 1,
		Phantom: rcpts, Corrupted: rcpts,
	}
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	for name, c := range map[string]struct {
		got []ledger.Duty
		seq uint64
	}{
		"lost": {book.Missing(10)[:rcpts], 100 * rcpts}, "repeated": {book.Repeated(10), 200 * rcpts},
		"damaged": {book.Damaged(10), 300 * rcpts}, "phantom": {book.Phantoms(10), 400 * rcpts},
	} {
		if !slices.Equal(c.got, []ledger.Duty{{Seq: c.seq, N: 0}, {Seq: c.seq, N: 1}}) {
			t.Errorf("%s: %v", name, c.got)
		}
	}
	if n := f.Notices(); n != (sink.Notices{Bounces: 1}) {
		t.Errorf("%+v", n)
	}
}

package outbound_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"postrider/internal/mail"
	"postrider/relay/outbound"
	"postrider/relay/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// piped is a transport whose peer is a function at the other end of a pipe, so
// that time is the bubble's.
func piped(o outbound.Options, peer func(net.Conn)) (*outbound.Transport, func()) {
	var wg sync.WaitGroup
	o.Connect = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		wg.Go(func() { peer(theirs) })
		return ours, nil
	}
	return outbound.New(o), wg.Wait
}

var pipeHop = mail.Hop{Kind: mail.HopSMTP, Network: "pipe", Address: "peer"}

// A peer that falls silent, or says its reply a byte every ten seconds, is left
// after the time of the phase; in the middle of a text, after that of a block.
// Covers D11, HS16.
func TestTimeouts(t *testing.T) {
	const mailLine, rcptLine = "MAIL FROM:<s@x>\r\n", "RCPT TO:<a@y>\r\n"
	for _, c := range []struct {
		name    string
		said    []string // by the peer, each behind what it waits for
		after   time.Duration
		want    string
		err     string
		large   bool
		trickle bool
	}{
		{name: "greeting", after: 5 * time.Minute, err: "greeting", want: "-\n"},
		{name: "slow greeting", after: 5 * time.Minute, err: "greeting", want: "-\n", trickle: true},
		{name: "hello", said: []string{"", "220 x\r\n"}, after: 5 * time.Minute, err: "hello", want: "-\n"},
		{name: "mail", said: []string{"", "220 x\r\n", "EHLO localhost\r\n", "250 x\r\n"}, after: 5 * time.Minute},
		{name: "slow mail", said: []string{"", "220 x\r\n", "EHLO localhost\r\n", "250 x\r\n"}, after: 5 * time.Minute, trickle: true},
		{name: "rcpt", said: []string{"", "220 x\r\n", "EHLO localhost\r\n", "250 x\r\n", mailLine, "250 x\r\n"}, after: 5 * time.Minute},
		{name: "data", said: []string{"", "220 x\r\n", "EHLO localhost\r\n", "250 x\r\n", mailLine, "250 x\r\n", rcptLine, "250 x\r\n"}, after: 2 * time.Minute},
		{
			name: "end", said: []string{
				"", "220 x\r\n", "EHLO localhost\r\n", "250 x\r\n", mailLine, "250 x\r\n", rcptLine, "250 x\r\n",
				"DATA\r\n", "354 x\r\n", "\r\n.\r\n", "",
			}, after: 10 * time.Minute,
			want: "451 4.4.2 the next hop did not answer in time (sent)\n",
		},
		{
			name: "block", said: []string{
				"", "220 x\r\n", "EHLO localhost\r\n", "250 x\r\n", mailLine, "250 x\r\n", rcptLine, "250 x\r\n",
				"DATA\r\n", "354 x\r\n", "Subject", "",
			}, after: 3*time.Minute + time.Second, // and a moment in which the peer may say why
			large: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, wait := piped(outbound.Options{}, func(conn net.Conn) {
					defer func() { _ = conn.Close() }()
					var seen []byte
					b := make([]byte, 4096)
					for i := 0; i+1 < len(c.said); i += 2 {
						for !strings.HasSuffix(string(seen), c.said[i]) && !strings.HasPrefix(string(seen), c.said[i]) {
							n, err := conn.Read(b)
							if err != nil {
								return
							}
							seen = append(seen, b[:n]...)
						}
						seen = seen[:0]
						_, _ = conn.Write([]byte(c.said[i+1]))
					}
					if c.large { // it reads no more, and says nothing
						wait := time.NewTimer(time.Hour)
						defer wait.Stop()
						<-wait.C
						return
					}
					if c.trickle {
						go func() { _, _ = io.Copy(io.Discard, conn) }()
						every := time.NewTicker(10 * time.Second)
						defer every.Stop()
						for range every.C {
							if _, err := conn.Write([]byte("2")); err != nil {
								return
							}
						}
					}
					_, _ = io.Copy(io.Discard, conn)
				})
				body := hello
				if c.large {
					body.data = bytes.Repeat([]byte("0123456789abcde\r\n"), 100_000)
					body.data = append([]byte("Subject: x\r\n\r\n"), body.data...)
				}
				d := delivery(&body, "s@x", "a@y")
				began := time.Now()
				err := tr.Serve(t.Context(), nil, &mail.Egress{Hop: pipeHop}, newSource(t, d))
				if took := time.Since(began); took < c.after-2*time.Second || took > c.after+2*time.Second {
					t.Errorf("left after %v, not %v", took, c.after)
				}
				if c.err == "" {
					c.err = "session"
				}
				checkError(t, err, c.err)
				if c.want == "" {
					c.want = "451 4.4.2 the next hop did not answer in time\n"
				}
				if got := outcomes(d); got != c.want {
					t.Errorf("outcome %q, not %q", got, c.want)
				}
				wait()
			})
		})
	}
}

// What is no reply ends the connection, wherever it comes, and defers.
// Covers HS16.
func TestBadReplies(t *testing.T) {
	for name, bad := range map[string]string{
		"code 999":        `999 what\r\n`,
		"code 199":        `199 what\r\n`,
		"no digits":       `hello\r\n`,
		"empty line":      `\r\n`,
		"two digits":      `25\r\n`,
		"four digits":     `2500 x\r\n`,
		"mixed codes":     `250-a\r\n550 b\r\n`,
		"NUL":             `\0250 x\r\n`,
		"too many lines":  strings.Repeat(`250-x\r\n`, 101),
		"an endless line": "250 " + strings.Repeat("x", 1<<19),
	} {
		const protocol = "451 4.5.0 the next hop does not keep the protocol"
		t.Run(name, func(t *testing.T) {
			tr := outbound.New(outbound.Options{Timeouts: quick})
			d := delivery(&hello, "s@x", "a@y")
			err := tr.Serve(t.Context(), nil, &mail.Egress{Hop: scripted(t, "S- "+bad)}, newSource(t, d))
			checkError(t, err, "greeting")
			if e, ok := err.(*outbound.Error); ok && (e.Status.String() != protocol || !errors.Is(err, smtp.ErrReply)) {
				t.Errorf("%v", err)
			}
			err = tr.Serve(t.Context(), nil, &mail.Egress{Hop: scripted(t, "ehlo PIPELINING\nC: MAIL FROM:<s@x>\nC: RCPT TO:<a@y>\nC: DATA\nS- "+bad)}, newSource(t, d))
			checkError(t, err, "session")
			if got := outcomes(d); got != protocol+"\n" {
				t.Errorf("outcome %q", got)
			}
		})
	}
	t.Run("code without text", func(t *testing.T) {
		d := delivery(&hello, "s@x", "a@y")
		hop := scripted(t, "S: 220\nC: EHLO localhost\nS: 250\nC: MAIL FROM:<s@x>\nS: 250\nC: RCPT TO:<a@y>\nS: 550\nC: QUIT")
		checkError(t, outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, &mail.Egress{Hop: hop}, newSource(t, d)), "")
		if got := outcomes(d); got != "550 5.0.0\n" {
			t.Errorf("outcome %q", got)
		}
	})
	t.Run("controls in the text", func(t *testing.T) {
		d := delivery(&hello, "s@x", "a@y")
		hop := scripted(t, "ehlo\nC: MAIL FROM:<s@x>\nS- 550-5.7.1 a\x1b[2Jb\\0c\\r\\n550 5.7.1 \x7fBcc: x\\r\\n\nC: QUIT")
		checkError(t, outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, &mail.Egress{Hop: hop}, newSource(t, d)), "")
		if got := outcomes(d); got != "550 5.7.1 a [2Jb c  Bcc: x\n" {
			t.Errorf("outcome %q", got)
		}
	})
}

// A text with a bare CR or LF is never sent to its end: not by DATA, not by BDAT,
// not from memory, not from a file, and the server sees the message after it.
// Covers HS2.
func TestBareLines(t *testing.T) {
	for _, seq := range []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r.\n", "\n.\r", "\r\n.\r", "\r\n.\r\r\n", "\r\r\n.\r\r\n",
	} {
		for _, offer := range []string{"PIPELINING 8BITMIME", "PIPELINING CHUNKING 8BITMIME", "PIPELINING", "8BITMIME"} {
			for _, stored := range []bool{false, true} {
				t.Run(strconv.Quote(seq)+offer+strconv.FormatBool(stored), func(t *testing.T) {
					w := newWitness(t, strings.Fields(offer))
					bad := &text{data: []byte("Subject: x\r\n\r\na" + seq + "MAIL FROM:<evil@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nboo\r\n.\r\n"), stored: stored}
					first, second := delivery(bad, "s@x", "a@y"), delivery(&hello, "s@x", "a@y")
					src := newSource(t, first, second)
					tr := outbound.New(outbound.Options{Timeouts: quick})
					for src.next < len(src.list) { // a stored one costs the connection
						if err := tr.Serve(t.Context(), nil, &mail.Egress{Hop: w.hop}, src); err != nil {
							t.Fatal(err)
						}
					}
					if got := outcomes(first, second); got != "550 5.6.11 message has a CR or LF that stands alone\n250 2.0.0 ok (sent)\n" {
						t.Errorf("outcomes %q", got)
					}
					if got := w.texts(); len(got) != 1 || got[0] != string(hello.data) {
						t.Errorf("the server has %q", got)
					}
				})
			}
		}
	}
}

// A body that turns out corrupt when it is read is not finished.
func TestCorrupt(t *testing.T) {
	for _, offer := range []string{"PIPELINING 8BITMIME", "PIPELINING CHUNKING 8BITMIME", ""} {
		t.Run(offer, func(t *testing.T) {
			w := newWitness(t, strings.Fields(offer))
			line := bytes.Repeat([]byte("0123456789abcde\r\n"), 20_000)
			bad := delivery(&text{data: line, stored: true, corrupt: true}, "s@x", "a@y")
			small := delivery(&text{data: []byte("x\r\n"), stored: true, corrupt: true}, "s@x", "a@y")
			empty := delivery(&text{}, "s@x", "a@y")
			good := delivery(&text{data: line, stored: true}, "s@x", "a@y")
			src := newSource(t, good, bad, small, empty)
			tr := outbound.New(outbound.Options{Timeouts: quick})
			for src.next < len(src.list) {
				if err := tr.Serve(t.Context(), nil, &mail.Egress{Hop: w.hop}, src); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range []*mail.Delivery{bad, small} {
				if !d.Corrupt || d.DotSent || !d.Outcomes[0].Temporary() {
					t.Errorf("corrupt %v, sent %v, %v", d.Corrupt, d.DotSent, d.Outcomes[0])
				}
			}
			if got := outcomes(good, empty); got != "250 2.0.0 ok (sent)\n250 2.0.0 ok (sent)\n" {
				t.Errorf("outcomes %q", got)
			}
			if got := w.texts(); len(got) != 2 || got[0] != string(line) || strings.Trim(got[1], "\r\n") != "" {
				t.Errorf("the server has %d texts", len(got))
			}
		})
	}
}

// What a server can't take is refused before a word about it is said, and what it
// can take goes with the parameters that it knows.
// Covers R4, R8, HB4.
func TestNotOffered(t *testing.T) {
	eight := text{data: []byte("Subject: \xc3\xa9\r\n\r\nx\r\n")}
	stored := eight
	stored.stored = true
	build := func(body *text, from, to string, change func(*mail.Envelope)) *mail.Delivery {
		d := delivery(body, from, to)
		if change != nil {
			change(d.Envelope)
		}
		return d
	}
	utf8 := func(e *mail.Envelope) { e.SMTPUTF8 = true }
	dsn := func(e *mail.Envelope) {
		e.Return, e.EnvelopeID, e.EightBit = mail.ReturnHeaders, []byte("id+2B"), true
		e.Recipients[0].Notify = mail.NotifySuccess | mail.NotifyDelay
		e.Recipients[0].Original = []byte("rfc822;a@y")
	}
	never := func(e *mail.Envelope) {
		e.Return, e.Recipients[0].Notify = mail.ReturnFull, mail.NotifyNever|mail.NotifyDelay
	}
	original := func(e *mail.Envelope) {
		e.SMTPUTF8, e.Recipients[0].Original = true, []byte("utf-8;\u00fc@z")
	}
	stored2 := hello
	stored2.stored = true
	for _, c := range []struct {
		name, offer string
		d           *mail.Delivery
		lines       string // MAIL and RCPT, empty when nothing may be sent
		want        string
	}{
		{"8-bit", "", build(&eight, "s@x", "a@y", nil), "", "550 5.6.3 message has 8-bit text and the next hop takes none\n"},
		{"8-bit stored", "", build(&stored, "s@x", "a@y", nil), "", "550 5.6.3 message has 8-bit text and the next hop takes none\n"},
		{"7-bit after all", "", build(&hello, "s@x", "a@y", dsn), "MAIL FROM:<s@x>|RCPT TO:<a@y>", ""},
		{"8-bit offered", "8BITMIME", build(&eight, "s@x", "a@y", nil), "MAIL FROM:<s@x> BODY=8BITMIME|RCPT TO:<a@y>", ""},
		{"utf8", "8BITMIME", build(&hello, "s@x", "\u00fc@y", utf8), "", "550 5.6.7 message needs SMTPUTF8 and the next hop has it not\n"},
		{"utf8 offered", "SMTPUTF8 8BITMIME", build(&eight, "s@x", "\u00fc@y", utf8), "MAIL FROM:<s@x> BODY=8BITMIME SMTPUTF8|RCPT TO:<\u00fc@y>", ""},
		{"too big", "SIZE_10", build(&hello, "s@x", "a@y", nil), "", "552 5.3.4 message is larger than the next hop takes\n"},
		{"size", "SIZE_22", build(&hello, "s@x", "a@y", nil), "MAIL FROM:<s@x> SIZE=22|RCPT TO:<a@y>", ""},
		{"size unstated", "SIZE", build(&hello, "s@x", "a@y", nil), "MAIL FROM:<s@x> SIZE=22|RCPT TO:<a@y>", ""},
		{"dsn", "DSN 8BITMIME", build(&eight, "s@x", "a@y", dsn), "MAIL FROM:<s@x> BODY=8BITMIME RET=HDRS ENVID=id+2B|RCPT TO:<a@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@y", ""},
		{"dsn not offered", "8BITMIME", build(&eight, "s@x", "a@y", dsn), "MAIL FROM:<s@x> BODY=8BITMIME|RCPT TO:<a@y>", ""},
		{"never", "DSN", build(&hello, "s@x", "a@y", never), "MAIL FROM:<s@x> RET=FULL|RCPT TO:<a@y> NOTIFY=NEVER", ""},
		{"utf8 original", "DSN SMTPUTF8", build(&hello, "s@x", "\u00fc@y", original), "MAIL FROM:<s@x> SMTPUTF8|RCPT TO:<\u00fc@y> ORCPT=utf-8;\u00fc@z", ""},
		{"utf8 original to ASCII", "DSN", build(&hello, "s@x", "a@y", original), "MAIL FROM:<s@x>|RCPT TO:<a@y> ORCPT=utf-8;\\x{fc}@z", ""},
		{"domain in A-labels", "DSN", build(&hello, "s@\u00fc.x", "a@\u00fc.y", utf8), "MAIL FROM:<s@xn--tda.x>|RCPT TO:<a@xn--tda.y>", ""},
		{"domain in A-labels, stored", "", build(&stored2, "s@\u00fc.x", "a@\u00fc.y", utf8), "MAIL FROM:<s@xn--tda.x>|RCPT TO:<a@xn--tda.y>", ""},
		{"header beyond ASCII", "8BITMIME", build(&eight, "s@\u00fc.x", "a@y", utf8), "", "550 5.6.7 message needs SMTPUTF8 and the next hop has it not\n"},
		{"header beyond ASCII, stored", "8BITMIME", build(&stored, "s@x", "a@\u00fc.y", utf8), "", "550 5.6.7 message needs SMTPUTF8 and the next hop has it not\n"},
		{"bad sender", "", build(&hello, "s@x> RET=FULL\r\nRCPT TO:<c@y", "a@y", nil), "", "553 5.1.7 sender address cannot be written\n"},
		{"bad recipient", "", build(&hello, "s@x", "a@y\r\nRCPT TO:<c@y", nil), "", "553 5.1.3 recipient address cannot be written\n"},
		{"no recipient", "", build(&hello, "s@x", "", nil), "", "553 5.1.3 recipient address cannot be written\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := "ehlo PIPELINING " + c.offer + "\n"
			if c.lines != "" {
				script += "C: " + strings.ReplaceAll(c.lines, "|", "\nC: ") + "\nC: DATA\nS: 250 x\nS: 550 no\nS: 503 x\nC: QUIT"
				c.want = "550 5.0.0 no\n"
			} else {
				script += "C: QUIT"
			}
			err := outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, &mail.Egress{Hop: scripted(t, script)}, newSource(t, c.d))
			checkError(t, err, "")
			if got := outcomes(c.d); got != c.want {
				t.Errorf("outcome %q, not %q", got, c.want)
			}
			if c.d.Remote.DSN != strings.Contains(c.offer, "DSN") {
				t.Errorf("DSN %v", c.d.Remote.DSN)
			}
		})
	}
}

// A thousand recipients go to a server that has next to no buffers, answers at
// length and reads a command only when its last answer has been taken.
// Covers D4, D9.
func TestManyRecipients(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		tcp := conn.(*net.TCPConn)
		_, _ = tcp.SetReadBuffer(2048), tcp.SetWriteBuffer(2048)
		in := bufio.NewReaderSize(conn, 16)
		say := func(code string) bool {
			_, err := conn.Write([]byte(code + " " + strings.Repeat("x", 480) + "\r\n"))
			return err == nil
		}
		say("220")
		for inText, n := false, 0; ; {
			line, err := in.ReadString('\n')
			switch {
			case err != nil:
				return
			case inText:
				if line == ".\r\n" {
					inText = !say("250")
				}
			case strings.HasPrefix(line, "EHLO"):
				_, _ = conn.Write([]byte("250-x\r\n250 PIPELINING\r\n"))
			case strings.HasPrefix(line, "RCPT") && n%3 == 1:
				n++
				say("450")
			case strings.HasPrefix(line, "RCPT"):
				n++
				say("250")
			case line == "DATA\r\n":
				inText = say("354")
			default:
				say("250")
			}
		}
	})
	var to []string
	for i := range 1000 {
		to = append(to, "r"+strconv.Itoa(i)+"@y")
	}
	d := delivery(&hello, "s@x", to...)
	tr := outbound.New(outbound.Options{Timeouts: quick})
	if err := tr.Serve(t.Context(), nil, &mail.Egress{Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: l.Addr().String()}}, newSource(t, d)); err != nil {
		t.Fatal(err)
	}
	for i, o := range d.Outcomes {
		if want := uint16(250); o.Code != want && (i%3 != 1 || o.Code != 450) {
			t.Fatalf("recipient %d: %v", i, o)
		}
	}
}

// Once quiet nothing is pulled and what is under way may finish; a context that
// ends cuts it off. A recipient whose text was not sent whole has not been tried,
// and of one that was the outcome says so.
// Covers C2.
func TestContextEnds(t *testing.T) {
	for _, c := range []struct {
		name    string
		replies []string // to what comes after EHLO, line by line; then silence
		want    string
		answers bool // the server answers the dot after quiet and before the cut
	}{
		{"before any reply", nil, "-\n-\n", false},
		{"after the dot", []string{"250 ok\r\n", "250 ok\r\n", "354 go\r\n"},
			"451 4.3.2 this system was shut down before the next hop had answered (sent)\n-\n", false},
		{"answered", []string{"250 ok\r\n", "250 ok\r\n", "354 go\r\n"}, "250 2.0.0 taken (sent)\n-\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { cutAfter(t, c.replies, c.want, c.answers) })
		})
	}
	t.Run("during the greeting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			quiet := make(chan struct{})
			tr, wait := piped(outbound.Options{}, func(conn net.Conn) {
				time.AfterFunc(time.Second, func() { close(quiet) })
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			})
			src := newSource(t, delivery(&hello, "s@x", "a@y"))
			began := time.Now()
			checkError(t, tr.Serve(t.Context(), quiet, &mail.Egress{Hop: pipeHop}, src), "")
			if took := time.Since(began); took != time.Second || src.next != 0 {
				t.Errorf("took %v, %d pulled", took, src.next)
			}
			wait()
		})
	})
	t.Run("not begun", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		src := newSource(t, delivery(&hello, "s@x", "a@y"))
		checkError(t, outbound.New(outbound.Options{}).Serve(ctx, nil, &mail.Egress{Hop: scripted(t)}, src), "")
		if src.next != 0 {
			t.Error("something was pulled")
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		hop := scripted(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		hop.Address = l.Addr().String()
		_ = l.Close()
		src := newSource(t, delivery(&hello, "s@x", "a@y"))
		err = outbound.New(outbound.Options{}).Serve(t.Context(), nil, &mail.Egress{Hop: hop}, src)
		checkError(t, err, "connect")
		if e, ok := err.(*outbound.Error); !ok || e.Status.Enhanced != (mail.Enhanced{Class: 4, Subject: 4, Detail: 1}) || src.next != 0 {
			t.Errorf("%v, %d pulled", err, src.next)
		}
	})
}

// cutAfter serves one delivery to a server that greets, gives replies, and then
// says no more; five seconds later quiet is closed, and two after that the
// context ends.
func cutAfter(t *testing.T, replies []string, want string, answers bool) {
	ctx, cancel := context.WithCancel(t.Context())
	quiet := make(chan struct{})
	tr, wait := piped(outbound.Options{}, func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		in := bufio.NewReader(conn)
		_, _ = conn.Write([]byte("220 x\r\n"))
		_, _ = in.ReadString('\n')
		_, _ = conn.Write([]byte("250-x\r\n250 PIPELINING\r\n"))
		for _, r := range replies {
			_, _ = in.ReadString('\n')
			_, _ = conn.Write([]byte(r))
		}
		time.AfterFunc(5*time.Second, func() { close(quiet) })
		if answers {
			time.AfterFunc(6*time.Second, func() { _, _ = conn.Write([]byte("250 2.0.0 taken\r\n")) })
		}
		time.AfterFunc(7*time.Second, cancel)
		_, _ = io.Copy(io.Discard, in)
	})
	d, never := delivery(&hello, "s@x", "a@y"), delivery(&hello, "s@x", "a@y")
	src := newSource(t, d, never)
	began, lasts := time.Now(), 7*time.Second
	checkError(t, tr.Serve(ctx, quiet, &mail.Egress{Hop: pipeHop}, src), "")
	if took := time.Since(began); took != lasts {
		t.Errorf("took %v", took)
	}
	if got := outcomes(d, never); got != want || src.next > 2 {
		t.Errorf("outcomes %q, %d pulled", got, src.next)
	}
	wait()
}

package outbound_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/outbound"
	"postrider/relay/smtp"
)

// patience is how long a scripted server waits for its client.
const patience = 10 * time.Second

// scripted starts a server that plays one script for each connection, in order,
// and checks that all of them were played when the test ends. A script's lines:
//
//	S: text    send text and CRLF; such lines in a row go out in one write
//	S- text    send text as it is, with \r and \n written out
//	C: text    the client must send just this line
//	silent     the client must end the connection while it waits
//	close      end the connection; so does the end of the script
//	ehlo X     the greeting and the dialogue of EHLO, offering the words of X
//
// What the client sends is read only where the script says so: a client that
// should send ahead and does not, never gets its answer.
func scripted(t *testing.T, scripts ...string) mail.Hop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	played := 0
	wg.Go(func() {
		for _, s := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			played++
			play(t, conn, s)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
		if played != len(scripts) {
			t.Errorf("%d connections came, not %d", played, len(scripts))
		}
	})
	return mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: l.Addr().String()}
}

func play(t *testing.T, conn net.Conn, script string) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	var out bytes.Buffer
	flush := func() {
		if out.Len() > 0 {
			_, _ = conn.Write(out.Bytes())
			out.Reset()
		}
	}
	expect := func(want string) bool {
		flush()
		got, err := in.ReadString('\n')
		if got != want+"\r\n" {
			t.Errorf("client sent %q (%v), not %q", got, err, want)
			return false
		}
		return true
	}
	for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		line = strings.TrimLeft(line, "\t ")
		switch {
		case strings.HasPrefix(line, "S: "):
			out.WriteString(line[3:] + "\r\n")
		case strings.HasPrefix(line, "S- "):
			out.WriteString(strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00").Replace(line[3:]))
		case strings.HasPrefix(line, "C: "), line == "C:":
			if !expect(strings.TrimPrefix(line[2:], " ")) {
				return
			}
		case line == "silent":
			flush()
			if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
				t.Errorf("client sent %q (%v), not just the end", rest, err)
			}
			return
		case line == "close":
			flush()
			return
		case strings.HasPrefix(line, "ehlo"):
			out.WriteString("220 peer\r\n")
			if !expect("EHLO localhost") {
				return
			}
			out.WriteString("250-peer\r\n")
			for _, w := range strings.Fields(line[4:]) {
				out.WriteString("250-" + strings.ReplaceAll(w, "_", " ") + "\r\n")
			}
			out.WriteString("250 HELP\r\n")
		case line != "":
			t.Errorf("script: %q", line)
		}
	}
	flush()
	_, _ = io.Copy(io.Discard, in) // a reset must not overtake what was said
}

// hello is a text, and what of it a client sends.
var hello = text{data: []byte("Subject: x\r\n\r\n.hello\r\n")}

// outcomes writes the outcomes of deliveries, one line each, "-" for the zero
// status, with a note of DotSent.
func outcomes(list ...*mail.Delivery) string {
	var b strings.Builder
	for _, d := range list {
		for i, o := range d.Outcomes {
			if i > 0 {
				b.WriteString(", ")
			}
			if o.IsZero() {
				b.WriteByte('-')
				continue
			}
			b.WriteString(o.String())
		}
		if d.DotSent {
			b.WriteString(" (sent)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// quick are timeouts for a peer that is not meant to be waited for.
var quick = smtp.Timeouts{Quit: 20 * time.Millisecond}

// TestScripts plays conversations and compares what became of the deliveries.
func TestScripts(t *testing.T) {
	type message struct {
		from string
		to   []string
	}
	one := message{"s@x", []string{"a@y"}}
	two := message{"s@x", []string{"b@y"}}
	both := message{"s@x", []string{"a@y", "b@y"}}
	for _, c := range []struct {
		name   string
		lmtp   bool
		script string
		send   []message
		want   string
		err    string // phase of the *outbound.Error
	}{{
		// Covers D1, D9.
		name: "joined dot",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 250 2.1.0 ok
			S: 250 2.1.5 ok
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			C: MAIL FROM:<s@x>
			C: RCPT TO:<b@y>
			C: DATA
			S: 250 2.0.0 one
			S: 250 2.1.0 ok
			S: 250 2.1.5 ok
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			S: 250 2.0.0 two
			C: QUIT
			S: 221 bye`,
		send: []message{one, two},
		want: "250 2.0.0 one (sent)\n250 2.0.0 two (sent)\n",
	}, {
		// After the first is taken the others are in the air together.
		// Covers D10.
		name: "chunks in flight",
		script: `
			ehlo PIPELINING CHUNKING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: BDAT 22 LAST
			C: Subject: x
			C:
			C: .hello
			S: 250 2.1.0 ok
			S: 250 2.1.5 ok
			S: 250 2.0.0 one
			C: MAIL FROM:<s@x>
			C: RCPT TO:<b@y>
			C: BDAT 22 LAST
			C: Subject: x
			C:
			C: .hello
			C: RSET
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: BDAT 22 LAST
			C: Subject: x
			C:
			C: .hello
			S: 250 2.1.0 ok
			S: 550 5.1.1 who
			S: 503 5.5.1 nobody
			S: 250 2.0.0 reset
			S: 250 2.1.0 ok
			S: 250 2.1.5 ok
			S: 250 2.0.0 three
			C: QUIT`,
		send: []message{one, two, one},
		want: "250 2.0.0 one (sent)\n550 5.1.1 who\n250 2.0.0 three (sent)\n",
	}, {
		// Covers D4, D12.
		name: "mixed recipients",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: RCPT TO:<b@y>
			C: RCPT TO:<c@y>
			C: RCPT TO:<d@y>
			C: RCPT TO:<e@y>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 550 5.1.1 who
			S: 450-4.2.1 wait
			S: 450 4.2.1 a little
			S: 552 5.5.3 too many
			S: 452 4.5.3 too many
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			S: 250 taken
			C: QUIT`,
		send: []message{{"s@x", []string{"a@y", "b@y", "c@y", "d@y", "e@y"}}},
		want: "250 2.0.0 taken, 550 5.1.1 who, 450 4.2.1 wait a little, -, - (sent)\n",
	}, {
		name: "552 to the only recipient, and DATA refused",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 250 ok
			S: 552 5.2.2 full
			S: 554 5.5.1 nobody
			C: RSET
			C: MAIL FROM:<s@x>
			C: RCPT TO:<b@y>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 250 ok
			S: 451 4.3.0 no room
			C: QUIT`,
		send: []message{one, two},
		want: "552 5.2.2 full\n451 4.3.0 no room\n",
	}, {
		// Covers D4, D12.
		name: "354 to nobody gets a lone dot",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 250 ok
			S: 550 5.1.1 who
			S: 354 go
			C: .
			C: MAIL FROM:<s@x>
			C: RCPT TO:<b@y>
			C: DATA
			S: 554 5.5.1 nobody
			S: 550 5.7.1 not you
			S: 503 5.5.1 order
			S: 354 go
			C: .
			S: 250 ok
			C: QUIT`,
		send: []message{one, two},
		want: "550 5.1.1 who\n550 5.7.1 not you\n",
	}, {
		// Covers D13.
		name: "lmtp", lmtp: true,
		script: `
			S: 220 peer
			C: LHLO localhost
			S: 250-peer
			S: 250 PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: RCPT TO:<b@y>
			C: RCPT TO:<c@y>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 550 5.1.1 who
			S: 250 ok
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			C: MAIL FROM:<s@x>
			C: RCPT TO:<b@y>
			C: DATA
			S: 250 2.0.0 for a
			S: 552 5.2.2 full
			S: 250 ok
			S: 550 5.1.1 who
			S: 503 5.5.1 nobody
			C: QUIT`,
		send: []message{{"s@x", []string{"a@y", "b@y", "c@y"}}, two},
		want: "250 2.0.0 for a, 550 5.1.1 who, 552 5.2.2 full (sent)\n550 5.1.1 who\n",
	}, {
		name: "one command at a time",
		script: `
			S: 220-peer
			S: 220 speaks
			C: EHLO localhost
			S: 502 what
			C: HELO localhost
			S: 250 peer
			C: MAIL FROM:<s@x>
			S: 550 5.7.1 not you
			C: MAIL FROM:<s@x>
			S: 250 ok
			C: RCPT TO:<a@y>
			S: 450 4.2.0 wait
			C: RCPT TO:<b@y>
			S: 450 4.2.0 wait
			C: RSET
			S: 250 ok
			C: MAIL FROM:<>
			S: 250 ok
			C: RCPT TO:<a@y>
			S: 250 ok
			C: DATA
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			S: 250 taken
			C: QUIT`,
		send: []message{one, both, {"", []string{"a@y"}}},
		want: "550 5.7.1 not you\n450 4.2.0 wait, 450 4.2.0 wait\n250 2.0.0 taken (sent)\n",
	}, {
		name: "limits of the server",
		script: `
			ehlo PIPELINING LIMITS_RCPTMAX=1_MAILMAX=1
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			S: 250 taken
			C: QUIT`,
		send: []message{both, two},
		want: "250 2.0.0 taken, - (sent)\n-\n",
	}, {
		// Covers D12.
		name: "421 to the first",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 421 4.7.0 busy
			close`,
		send: []message{one, two},
		want: "421 4.7.0 busy\n-\n", err: "session",
	}, {
		name: "421 once the connection has worked",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			S: 250 taken
			S: 421 4.7.0 that was enough
			close`,
		send: []message{one, two},
		want: "250 2.0.0 taken (sent)\n-\n",
	}, {
		// Covers D12.
		name: "421 between RCPT and DATA",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: RCPT TO:<b@y>
			C: DATA
			S: 250 ok
			S: 550 5.1.1 who
			S: 421 4.3.2 going down
			close`,
		send: []message{both},
		want: "550 5.1.1 who, 421 4.3.2 going down\n", err: "session",
	}, {
		// The first may have been taken; the second can't.
		// Covers D17.
		name: "lost after the dot",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 354 go
			C: Subject: x
			C:
			C: ..hello
			C: .
			C: MAIL FROM:<s@x>
			close`,
		send: []message{one, two},
		want: "451 4.4.2 connection to the next hop lost (sent)\n-\n", err: "session",
	}, {
		// Covers D17.
		name: "lost with chunks in the air",
		script: `
			ehlo PIPELINING CHUNKING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: BDAT 22 LAST
			C: Subject: x
			C:
			C: .hello
			S: 250 ok
			S: 250 ok
			S: 250 taken
			C: MAIL FROM:<s@x>
			C: RCPT TO:<b@y>
			C: BDAT 22 LAST
			C: Subject: x
			C:
			C: .hello
			C: RSET
			close`,
		send: []message{one, two, one},
		want: "250 2.0.0 taken (sent)\n" +
			"451 4.4.2 connection to the next hop lost (sent)\n451 4.4.2 connection to the next hop lost (sent)\n",
	}, {
		name: "250 before the text",
		script: `
			ehlo PIPELINING
			C: MAIL FROM:<s@x>
			C: RCPT TO:<a@y>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 250 ok
			silent`,
		send: []message{one, two},
		want: "451 4.5.0 the next hop does not keep the protocol\n-\n", err: "session",
	}, {
		name: "354 to RCPT",
		script: `
			ehlo
			C: MAIL FROM:<s@x>
			S: 250 ok
			C: RCPT TO:<a@y>
			S: 354 go
			silent`,
		send: []message{one},
		want: "451 4.5.0 the next hop does not keep the protocol\n", err: "session",
	}, {
		name:   "refused by the greeting",
		script: "S: 554 5.7.1 not you\nC: QUIT",
		send:   []message{one}, want: "-\n", err: "greeting",
	}, {
		name:   "refused at EHLO",
		script: "S: 220 peer\nC: EHLO localhost\nS: 450 4.7.1 later\nC: QUIT",
		send:   []message{one}, want: "-\n", err: "hello",
	}, {
		name:   "spoke too early",
		script: "S- 220 peer\\r\\n250 STARTTLS\\r\\n\nsilent",
		send:   []message{one}, want: "-\n", err: "hello",
	}} {
		t.Run(c.name, func(t *testing.T) {
			hop := scripted(t, c.script)
			if c.lmtp {
				hop.Kind = mail.HopLMTP
			}
			var list []*mail.Delivery
			for _, m := range c.send {
				list = append(list, delivery(&hello, m.from, m.to...))
			}
			src := newSource(t, list...)
			err := outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, &mail.Egress{Hop: hop}, src)
			checkError(t, err, c.err)
			if got := outcomes(list...); got != c.want {
				t.Errorf("outcomes:\n%snot:\n%s", got, c.want)
			}
			src.settled()
		})
	}
}

// checkError compares the phase of an *outbound.Error; "" is no error.
func checkError(t *testing.T, err error, phase string) {
	t.Helper()
	got := ""
	if e, ok := err.(*outbound.Error); ok {
		got = e.Phase.String()
	} else if err != nil {
		got = err.Error()
	}
	if got != phase {
		t.Errorf("error %v in phase %q, not %q", err, got, phase)
	}
}

// settled checks that everything pulled was given back.
func (s *source) settled() {
	s.t.Helper()
	if len(s.out) > 0 {
		s.t.Errorf("%d deliveries were not given back", len(s.out))
	}
}

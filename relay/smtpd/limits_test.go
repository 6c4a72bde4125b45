package smtpd_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/smtpd"
)

// last returns the last n lines of what a server said.
func last(said []string, n int) string {
	return strings.Join(said[max(0, len(said)-n):], "|")
}

const (
	hello = "EHLO client.example\r\n"
	begin = "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@far.example>\r\n"
)

// The size of a text is held to the octet, whatever was announced, and what is
// too big is read to its end.
//
// Covers R3.
func TestSizeLimit(t *testing.T) {
	for _, size := range []int{99, 100, 101, 100_000} {
		inBubble(t, &smtpd.Options{Handler: &recorder{}, Limits: smtpd.Limits{MessageBytes: 100}}, func(t *testing.T, p *pipes) {
			text := "\r\n..\r\n" + strings.Repeat("x", size-7) + "\r\n" // the stuffed dot does not count
			want := "250 2.0.0 queued|221 2.0.0 Bye"
			if size > 100 {
				want = "552 5.3.4 Message is too big|221 2.0.0 Bye"
			}
			if got := last(converse(p, hello, begin+"DATA\r\n", text, ".\r\nQUIT\r\n"), 2); got != want {
				t.Errorf("%d octets: %s", size, got)
			}
			text = strings.Replace(text, "..", ".", 1)
			if got := last(converse(p, hello, begin, fmt.Sprintf("BDAT %d LAST\r\n%sQUIT\r\n", len(text), text)), 2); size <= 200 && got != want {
				t.Errorf("%d octets by BDAT: %s", size, got)
			}
		})
	}
}

// The header block and its Received fields are limited; a text of any line
// length, of many fields or of none passes as it is.
//
// Covers R23, HS6.
func TestHeaderLimits(t *testing.T) {
	field := func(n int) string { return "X: " + strings.Repeat("x", n-5) + "\r\n" }
	hops := func(n int) string { return strings.Repeat("Received: from x\r\n\tby y\r\n", n) + "\r\n" }
	const block = 256 << 10
	const queued, big, loop = "250 2.0.0 queued", "552 5.3.4 Message header is too big", "554 5.4.6 Message has too many hops"
	for _, c := range []struct{ name, text, want string }{
		{"line of 998", field(1000) + "\r\n", queued},
		{"line of 999", field(1001) + "\r\n", queued},
		{"line of 100 KB", field(100_000) + "\r\n", queued},
		{"block one below", field(block-3) + "\r\n", queued},
		{"block at", field(block-2) + "\r\n", queued},
		{"block one above", field(block-1) + "\r\n", big},
		{"one field of 10 MB", field(10_000_000) + "\r\n", big},
		{"100k fields", strings.Repeat("a: b\r\n", 100_000) + "\r\n", big},
		{"field without colon", "no field\r\n" + strings.Repeat("x", block) + "\r\n", queued},
		{"body of 10 MB in one line", "\r\n" + strings.Repeat("y", 10_000_000) + "\r\n", queued},
		{"99 hops", hops(99), queued},
		{"100 hops", hops(100), queued},
		{"101 hops", hops(101), loop},
		{"50 hops in a megabyte", hops(50) + strings.Repeat("z\r\n", 1<<18), queued},
		{"hops in the body", hops(1) + hops(200), queued},
		{"delivered before", "Delivered-To: loop@here.example\r\n\r\nx\r\n", "554 5.4.6 Been here before"},
		{"delivered elsewhere", "Delivered-To: loop@far.example\r\n\r\nx\r\n", queued},
	} {
		r := &recorder{}
		inBubble(t, &smtpd.Options{Handler: r}, func(t *testing.T, p *pipes) {
			if got := last(converse(p, hello, begin+"DATA\r\n", c.text+".\r\n", "QUIT\r\n"), 2); got != c.want+"|221 2.0.0 Bye" {
				t.Errorf("%s: %s", c.name, got)
			}
			if c.want == queued && r.taken()[0].text != c.text {
				t.Errorf("%s: the text was changed", c.name)
			}
		})
	}
}

// 1000 recipients are accepted, the next 1000 put off, and then it is enough; the
// accepted ones stand.
//
// Covers R16, HS7.
func TestRecipientLimits(t *testing.T) {
	for _, c := range []struct {
		rcpts, accepted, put, ends int
	}{{1, 1, 0, 0}, {999, 999, 0, 0}, {1000, 1000, 0, 0}, {1001, 1000, 1, 0}, {2000, 1000, 1000, 0}, {2001, 1000, 1000, 1}, {100_001, 1000, 1000, 1}} {
		r := &recorder{}
		inBubble(t, &smtpd.Options{Handler: r}, func(t *testing.T, p *pipes) {
			said := strings.Join(converse(p, hello, "MAIL FROM:<a@client.example>\r\n"+strings.Repeat("RCPT TO:<b@far.example>\r\n", c.rcpts)+"DATA\r\nx\r\n.\r\n"), "\n")
			accepted, put, ends := strings.Count(said, "\n250 2.1.5 "), strings.Count(said, "\n452 4.5.3 "), strings.Count(said, "\n421 4.5.3 ")
			if accepted != c.accepted || put != c.put || ends != c.ends {
				t.Errorf("%d recipients: %d accepted, %d put off, %d ends", c.rcpts, accepted, put, ends)
			}
			if m := r.taken(); c.ends == 0 && (len(m) != 1 || len(m[0].to) != c.accepted) || c.ends == 1 && len(m) != 0 {
				t.Errorf("%d recipients: %d messages", c.rcpts, len(m))
			}
		})
	}
}

// Commands that lead to no message are counted, whatever their kind, and a
// message makes good for them. So are errors.
//
// Covers HS10, HS12.
func TestJunkLimits(t *testing.T) {
	const junk, errs = "421 4.7.0 Too many commands without a message", "421 4.7.0 Too many errors"
	message := begin + "DATA\r\n.\r\n"
	for _, c := range []struct {
		name, unit string
		n          int
		before     string
		want       string // the end, or "" when QUIT is still answered
	}{
		{"99 NOOP", "NOOP\r\n", 99, "", ""},
		{"100 NOOP", "NOOP\r\n", 100, "", ""},
		{"101 NOOP", "NOOP\r\n", 101, "", junk},
		{"a million NOOP", "NOOP\r\n", 1_000_000, "", junk},
		{"101 RSET", "RSET\r\n", 101, "", junk},
		{"101 VRFY", "VRFY x\r\n", 101, "", junk},
		{"101 EHLO", hello, 101, "", junk},
		{"101 empty chunks", "BDAT 0\r\n", 101, begin, junk},
		{"a million empty chunks", "BDAT 0\r\n", 1_000_000, begin, junk},
		{"50 MAIL and RSET", "MAIL FROM:<>\r\nRSET\r\n", 50, "", ""},
		{"51 MAIL and RSET", "MAIL FROM:<>\r\nRSET\r\n", 51, "", junk},
		{"99 errors", "RCPT TO:<a@b>\r\n", 99, "", ""},
		{"100 errors", "RCPT TO:<a@b>\r\n", 100, "", ""},
		{"101 errors", "RCPT TO:<a@b>\r\n", 101, "", errs},
		{"101 unknown users", "RCPT TO:<nobody@b>\r\n", 101, begin, ""},
		{"1001 unknown users", "RCPT TO:<nobody@b>\r\n", 1001, begin, errs},
		{"messages between", strings.Repeat("NOOP\r\n", 60) + message, 5, "", ""},
	} {
		inBubble(t, &smtpd.Options{Handler: &recorder{}}, func(t *testing.T, p *pipes) {
			got := last(converse(p, hello, c.before+strings.Repeat(c.unit, c.n)+"QUIT\r\n"), 1)
			if c.want == "" && got != "221 2.0.0 Bye" || c.want != "" && got != c.want {
				t.Errorf("%s: %s", c.name, got)
			}
		})
	}
}

// A client that sends an octet every ten seconds gains nothing: each state has an
// absolute end, and its goroutine goes with it.
//
// Covers HR1.
func TestSlowClients(t *testing.T) {
	slow := func(text string) func(w io.Writer) {
		return func(w io.Writer) {
			for i := 0; ; i++ {
				if _, err := w.Write([]byte{text[i%len(text)]}); err != nil {
					return
				}
				timer := time.NewTimer(10 * time.Second)
				<-timer.C
			}
		}
	}
	for _, c := range []struct {
		name   string
		before string
		rest   func(w io.Writer)
		want   time.Duration
		reply  string
		tls    bool
	}{
		{"silent at the greeting", "", func(io.Writer) {}, 300 * time.Second, "421 4.4.2 Timeout", false},
		{"silent between commands", hello, func(io.Writer) {}, 300 * time.Second, "421 4.4.2 Timeout", false},
		{"slow command", hello, slow("NOOP "), 300 * time.Second, "421 4.4.2 Timeout", false},
		{"text below the rate", begin + "DATA\r\n", slow("x"), 30 * time.Second, "421 4.4.2 Timeout", false},
		{"chunk below the rate", begin + "BDAT 10000\r\n", slow("x"), 30 * time.Second, "421 4.4.2 Timeout", false},
		{"silent after DATA", begin + "DATA\r\n" + strings.Repeat("x", 200_000), func(io.Writer) {}, 180 * time.Second, "421 4.4.2 Timeout", false},
		{"slow handshake", "", slow("\x16\x03\x01\x02"), 10 * time.Second, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &smtpd.Options{Handler: &recorder{}}
			if c.tls {
				o.TLS, o.ImplicitTLS = certificate, true
			}
			inBubble(t, o, func(t *testing.T, p *pipes) {
				began := time.Now()
				nc := p.dial()
				said := make(chan string, 1)
				go func() {
					b, _ := io.ReadAll(nc)
					_ = nc.Close()
					said <- string(b)
				}()
				if c.before != "" {
					for _, piece := range []string{hello, c.before} {
						if _, err := io.WriteString(nc, piece); err != nil {
							t.Error(err)
						}
						synctest.Wait()
					}
				}
				writer := make(chan struct{})
				go func() {
					defer close(writer)
					c.rest(nc)
				}()
				lines := strings.Split(strings.TrimSpace(<-said), "\r\n")
				took := time.Since(began)
				<-writer
				if lines[len(lines)-1] != c.reply {
					t.Errorf("said %q", lines)
				}
				if took < c.want-time.Second || took > c.want+time.Second {
					t.Errorf("ended after %v, want %v", took, c.want)
				}
			})
		})
	}
}

// A text that keeps the least rate is taken however long it lasts.
//
// Covers HR1.
func TestSteadyClient(t *testing.T) {
	r := &recorder{}
	inBubble(t, &smtpd.Options{Handler: r}, func(t *testing.T, p *pipes) {
		nc := p.dial()
		go func() { _, _ = io.Copy(io.Discard, nc) }()
		send := func(s string) {
			if _, err := io.WriteString(nc, s); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		send(hello)
		send(begin + "DATA\r\n\r\n")
		for range 200 {
			<-time.NewTimer(10 * time.Second).C
			send(strings.Repeat("x", 5100))
		}
		send("\r\n.\r\n")
		if len(r.taken()) != 1 {
			t.Error("not taken")
		}
		_ = nc.Close()
	})
}

// A client that never reads stops being read: its replies do not pile up, and the
// write deadline ends it.
//
// Covers HR3.
func TestClientThatNeverReads(t *testing.T) {
	r := &recorder{}
	inBubble(t, &smtpd.Options{Handler: r, Limits: smtpd.Limits{Junk: 1 << 30}}, func(t *testing.T, p *pipes) {
		nc := p.dial()
		buf := make([]byte, 4096)
		if _, err := nc.Read(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, hello); err != nil {
			t.Fatal(err)
		}
		for !strings.Contains(string(buf), "LIMITS") {
			if _, err := nc.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		n, err := nc.Write([]byte(strings.Repeat("NOOP\r\n", 100_000)))
		if err == nil {
			t.Error("all was read")
		}
		if took := time.Since(began); n > 64<<10 || took < 59*time.Second || took > 62*time.Second {
			t.Errorf("%d octets were taken in %v", n, took)
		}
		_ = nc.Close()
	})
}

// A text whose storing took longer than its sender can be thought to wait is
// refused with 4xx and not committed; the session learns the same moment.
//
// Covers R25.
func TestAcceptDeadline(t *testing.T) {
	var told time.Duration
	var stall time.Duration
	r := &recorder{}
	r.write = func([]byte) mail.Status {
		<-time.NewTimer(stall).C
		return mail.Status{}
	}
	r.commit = func(c *smtpd.Conn) mail.Status {
		told = time.Until(c.AcceptDeadline())
		return mail.Status{}
	}
	for _, c := range []struct {
		stall time.Duration
		want  string
	}{
		{99 * time.Second, "250 2.0.0 queued"},
		{100 * time.Second, "250 2.0.0 queued"},
		{101 * time.Second, "451 4.3.0 Took too long, send it again later"},
	} {
		stall, told = c.stall, -1
		inBubble(t, &smtpd.Options{Handler: r, Limits: smtpd.Limits{Accept: 100 * time.Second}}, func(t *testing.T, p *pipes) {
			nc := p.dial()
			said := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(nc)
				_ = nc.Close()
				said <- string(b)
			}()
			for _, s := range []string{hello, begin + "DATA\r\n", "x\r\n.\r\n", "QUIT\r\n"} {
				if _, err := io.WriteString(nc, s); err != nil {
					t.Error(err)
				}
			}
			lines := strings.Split(strings.TrimSpace(<-said), "\r\n")
			if got := last(lines, 2); got != c.want+"|221 2.0.0 Bye" {
				t.Errorf("after %v: %s", c.stall, got)
			}
			if c.want[0] == '2' && told != 100*time.Second-c.stall {
				t.Errorf("after %v the session was told %v", c.stall, told)
			}
		})
	}
	if n := strings.Count(r.log(), "commit"); n != 2 {
		t.Errorf("%d commits", n)
	}
}

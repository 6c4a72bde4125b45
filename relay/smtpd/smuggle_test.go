package smtpd_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"postrider/relay/smtpd"
)

// endings are what some server once took for the end of a text.
var endings = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r.\n", "\n.\r", "\r\n.\r",
	"\r\n.\r\r\n", "\r\r\n.\r\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n",
}

// pipes is a listener of in-memory connections.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.done)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

// converse sends the pieces one after the other on a fresh session and returns
// all that the server said, line by line.
func converse(p *pipes, pieces ...string) []string {
	nc := p.dial()
	said := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(nc) // ends with the connection
		said <- string(b)
	}()
	for _, piece := range pieces {
		if piece == "" {
			continue // a pipe would hand on an empty read
		}
		if _, err := io.WriteString(nc, piece); err != nil {
			break // the server hung up, which what it said shows
		}
		synctest.Wait()
	}
	_ = nc.Close()
	return strings.Split(strings.TrimSuffix(<-said, "\r\n"), "\r\n")
}

// inBubble runs f with a server on pipes in a bubble of its own.
func inBubble(t *testing.T, o *smtpd.Options, f func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		if o.Hostname == "" {
			o.Hostname = "mx.example"
		}
		p := newPipes()
		s := smtpd.NewServer("pipe", nil, func() *smtpd.Options { return o })
		served := make(chan error, 1)
		go func() { served <- s.Serve(p) }()
		synctest.Wait()
		f(t, p)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// Each false ending with a smuggled transaction behind it, cut at every octet,
// must be read to the true end and refused, and the smuggled MAIL never executed.
//
// Covers HS1, R15.
func TestSmuggling(t *testing.T) {
	for i, ending := range endings {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r := &recorder{}
			inBubble(t, &smtpd.Options{Handler: r}, func(t *testing.T, p *pipes) {
				text := "Subject: x\r\n\r\nhello" + ending + "MAIL FROM:<smuggled@client.example>\r\nRCPT TO:<b@far.example>\r\nDATA\r\nevil\r\n.\r\n"
				for cut := range len(text) {
					said := converse(p, "EHLO client.example\r\n", "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@far.example>\r\nDATA\r\n",
						text[:cut], text[cut:], "QUIT\r\n")
					if len(said) < 3 || said[len(said)-2] != refusalOf(ending) || said[len(said)-1] != "221 2.0.0 Bye" {
						t.Fatalf("ending %q cut at %d: %q", ending, cut, said)
					}
				}
			})
			if len(r.taken()) > 0 || strings.Contains(r.log(), "commit") {
				t.Errorf("accepted %+v", r.taken())
			}
		})
	}
}

func refusalOf(ending string) string {
	if strings.Contains(ending, "\x00") {
		return "550 5.6.11 Message holds a NUL"
	}
	return "550 5.6.11 Message holds a CR or LF that is not CRLF"
}

// The same with Normalize: one message, every bare CR or LF a CRLF, NUL refused.
//
// Covers HS1, R15.
func TestSmugglingNormalized(t *testing.T) {
	for _, ending := range endings {
		if strings.Contains(ending, "\x00") {
			continue
		}
		r := &recorder{}
		inBubble(t, &smtpd.Options{Handler: r, LineEndings: smtpd.Normalize}, func(t *testing.T, p *pipes) {
			text := "Subject: x\r\n\r\nhello" + ending + "MAIL FROM:<smuggled@client.example>\r\n"
			want := normalized(text)
			for cut := range len(text) {
				said := converse(p, "EHLO client.example\r\n", "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@far.example>\r\nDATA\r\n",
					text[:cut], text[cut:]+".\r\n", "QUIT\r\n")
				m := r.taken()
				if said[len(said)-2] != "250 2.0.0 queued" || len(m) != cut+1 || m[cut].text != want || m[cut].from != "a@client.example" {
					t.Fatalf("ending %q cut at %d: %q\nwant %q\ngot  %q", ending, cut, said, want, m[len(m)-1].text)
				}
			}
		})
	}
}

// normalized is what Normalize must make of a text, found octet by octet.
func normalized(s string) string {
	var b strings.Builder
	line := true
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '.' && line:
			line = false
		case strings.HasPrefix(s[i:], "\r\n"):
			b.WriteString("\r\n")
			i++
			line = true
		case s[i] == '\r' || s[i] == '\n':
			b.WriteString("\r\n")
			line = false
		default:
			b.WriteByte(s[i])
			line = false
		}
	}
	return b.String()
}

// FuzzSession throws anything at a session: it must end, each transaction must
// end once, and everything committed must have been a whole text.
//
// Covers HS1, HS10, HS11.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n"), uint8(3), false)
	f.Add([]byte("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\nabcdeBDAT 2 LAST\r\n\r\nRSET\r\n"), uint8(7), true)
	f.Fuzz(func(t *testing.T, input []byte, step uint8, lmtp bool) {
		r := &recorder{}
		inBubble(t, &smtpd.Options{Handler: r, LMTP: lmtp, Limits: smtpd.Limits{MessageBytes: 4096}}, func(t *testing.T, p *pipes) {
			hello := "EHLO a\r\n"
			if lmtp {
				hello = "LHLO a\r\n"
			}
			pieces := []string{hello}
			for rest := input; len(rest) > 0; {
				n := min(len(rest), int(step)*37+1)
				pieces = append(pieces, string(rest[:n]))
				rest = rest[n:]
			}
			for _, line := range converse(p, pieces...) {
				if len(line) > 510 || len(line) > 0 && (line[0] < '2' || line[0] > '5') {
					t.Errorf("reply %q", line)
				}
			}
		})
		log := r.log()
		if n := strings.Count(log, "commit") + strings.Count(log, "reset"); n != strings.Count(log, "mail") {
			t.Errorf("transactions that did not end once: %s", log)
		}
		for _, m := range r.taken() {
			if bytes.ContainsRune([]byte(m.text), 0) || len(m.to) == 0 {
				t.Errorf("accepted %+v", m)
			}
		}
	})
}

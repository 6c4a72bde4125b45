package app_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// postbox is a next hop of another make that keeps what it gets.
type postbox struct {
	addr string
	mu   sync.Mutex // guards following
	got  []letter
}

type letter struct {
	from, text string
	to         []string
}

// postboxSession takes the messages of one connection.
type postboxSession struct {
	p *postbox
	letter
}

func (s *postboxSession) Mail(from string, _ *smtp.MailOptions) error {
	s.letter = letter{from: from}
	return nil
}

func (s *postboxSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *postboxSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.text = string(text)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.got = append(s.p.got, s.letter)
	return err
}

func (s *postboxSession) Reset()        {}
func (s *postboxSession) Logout() error { return nil }

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postbox{addr: l.Addr().String()}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &postboxSession{p: p}, nil }))
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(l) }) // ends with an error by Close
	t.Cleanup(func() {
		_ = server.Close() // it has nothing left
		served.Wait()
	})
	return p
}

// letters waits until there are n.
func (p *postbox) letters(t *testing.T, n int) []letter {
	t.Helper()
	var got []letter
	await(t, fmt.Sprintf("%d letters", n), func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		got = append([]letter(nil), p.got...)
		return len(got) >= n
	})
	return got
}

// Mail to an alias goes on with a sender of ours, a bounce to that finds its way
// back, and what does not exist or comes back in a circle is refused at once.
//
// Covers M6, HB2, HL1.
func TestForwarding(t *testing.T) {
	box := newPostbox(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"aliases": "alice@alias.example: alice@else.example\nteam@alias.example: alice, bob@third.example\nround@alias.example: circle\ncircle@alias.example: round\n",
		"secrets": "a secret of this test\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := startIn(t, dir, configure(t, dir, relayListener+`
[relay]
networks = ["127.0.0.0/8"]
[local]
domains = ["alias.example"]
[aliases]
file = "aliases"
[srs]
domain = "srs.example"
secret_file = "secrets"
[[route]]
domain = "alias.example"
next_hop = "local"
[[route]]
domain = "*"
next_hop = "smtp:`+box.addr+`"
`), nil)
	defer a.stop()
	c := a.dial("127.0.0.1").hello()
	c.want("MAIL FROM:<author@far.example>", "250")
	c.want("RCPT TO:<nobody@alias.example>", "550 5.1.1")
	c.want("RCPT TO:<round@alias.example>", "554 5.4.6")
	c.want("RCPT TO:<ALICE+x@alias.example>", "250")
	c.want("DATA", "354")
	c.want("Subject: to an alias\r\n\r\nx\r\n.", "250")
	first := box.letters(t, 1)[0]
	if len(first.to) != 1 || first.to[0] != "ALICE+x@else.example" && first.to[0] != "alice+x@else.example" {
		t.Errorf("went to %q", first.to)
	}
	if !strings.HasPrefix(first.from, "SRS0=") || !strings.HasSuffix(first.from, "=far.example=author@srs.example") {
		t.Errorf("comes from %q", first.from)
	}
	if !strings.HasPrefix(first.text, "Delivered-To: ALICE+x@alias.example\r\n") || !strings.Contains(first.text, "for <ALICE+x@alias.example>") || strings.Contains(first.text, "else.example") {
		t.Errorf("trace: %s", first.text)
	}

	c.want("MAIL FROM:<>", "250")
	c.want("RCPT TO:<"+strings.Replace(first.from, "author", "victim", 1)+">", "550 5.7.1")
	c.want("RCPT TO:<"+strings.ToLower(first.from)+">", "250")
	c.want("DATA", "354")
	c.want("Subject: a bounce\r\n\r\nx\r\n.", "250")
	if second := box.letters(t, 2)[1]; second.from != "" || len(second.to) != 1 || second.to[0] != "author@far.example" {
		t.Errorf("the bounce went from %q to %q", second.from, second.to)
	}

	// The other side forwards to us again.
	c.want("MAIL FROM:<"+first.from+">", "250")
	c.want("RCPT TO:<alice+X@alias.example>", "250")
	c.want("DATA", "354")
	c.want(strings.TrimSuffix(first.text, "\r\n")+"\r\n.", "554 5.4.6")
}

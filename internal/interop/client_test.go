//go:build interop

package interop

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// smtpClient says what a test tells it to, well or badly.
type smtpClient struct {
	t  *testing.T
	nc net.Conn
	in *bufio.Reader
}

// dialSMTP connects and reads the greeting.
func dialSMTP(t *testing.T, network, address string) *smtpClient {
	t.Helper()
	nc, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return wrapSMTP(t, nc)
}

func wrapSMTP(t *testing.T, nc net.Conn) *smtpClient {
	t.Helper()
	c := newSMTP(t, nc)
	c.expect("220")
	return c
}

func newSMTP(t *testing.T, nc net.Conn) *smtpClient {
	return &smtpClient{t: t, nc: nc, in: bufio.NewReader(nc)}
}

// reply reads one reply, of however many lines.
func reply(nc net.Conn, in *bufio.Reader) (string, error) {
	if err := nc.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return "", err
	}
	var all []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return strings.Join(all, "\n"), err
		}
		line = strings.TrimRight(line, "\r\n")
		all = append(all, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(all, "\n"), nil
		}
	}
}

func (c *smtpClient) write(text string) {
	c.t.Helper()
	if _, err := c.nc.Write([]byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// ask sends a command and returns its reply.
func (c *smtpClient) ask(command string) string {
	c.t.Helper()
	c.write(command + "\r\n")
	return c.expect("")
}

func (c *smtpClient) expect(want string) string {
	c.t.Helper()
	got, err := reply(c.nc, c.in)
	if err != nil || !strings.HasPrefix(got, want) {
		c.t.Fatalf("reply %q (%v), want %s", got, err, want)
	}
	return got
}

// say sends a command and checks its reply.
func (c *smtpClient) say(command, want string) string {
	c.t.Helper()
	c.write(command + "\r\n")
	return c.expect(want)
}

// send has one message taken, or refused as wanted.
func (c *smtpClient) send(text, want string) {
	c.t.Helper()
	c.say("MAIL FROM:<a@example.org>", "250")
	c.say("RCPT TO:<b@example.test>", "250")
	c.say("DATA", "354")
	c.write(text + "\r\n.\r\n")
	c.expect(want)
}

// closed checks that the server has hung up and said nothing more.
func (c *smtpClient) closed() {
	c.t.Helper()
	if rest, err := reply(c.nc, c.in); err == nil || strings.Contains(err.Error(), "timeout") {
		c.t.Fatalf("the connection is open: %q, %v", rest, err)
	}
}

func (c *smtpClient) startTLS() {
	c.t.Helper()
	c.say("STARTTLS", "220")
	s := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true})
	if err := s.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.nc, c.in = s, bufio.NewReader(s)
}

// sendOnce connects, sends one message and quits. It returns the id of the 250,
// or none when 421 said to come back; anything else is an error.
func sendOnce(addr string) (id string, err error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("refused: %w", err)
	}
	defer nc.Close()
	in := bufio.NewReader(nc)
	for _, step := range []struct{ say, want string }{
		{"", "220"}, {"EHLO client.example\r\n", "250"}, {"MAIL FROM:<a@example.org>\r\n", "250"},
		{"RCPT TO:<b@example.test>\r\n", "250"}, {"DATA\r\n", "354"}, {"Subject: x\r\n\r\nx\r\n.\r\n", "250"},
	} {
		if _, err := nc.Write([]byte(step.say)); err != nil {
			return "", fmt.Errorf("%q: %w", step.say, err)
		}
		got, err := reply(nc, in)
		switch {
		case err != nil:
			return "", fmt.Errorf("after %q: %w", step.say, err)
		case strings.HasPrefix(got, "421"):
			return "", nil
		case !strings.HasPrefix(got, step.want):
			return "", &textproto.Error{Msg: got}
		}
		id = got[strings.LastIndexByte(got, ' ')+1:]
	}
	return id, nil
}

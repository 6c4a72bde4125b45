package pull

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"postrider/delivery/transfer"
)

// lineMax bounds a line that is no text: a reply, a line of a listing.
const lineMax = 4 << 10

// ErrRefused reports a server that answered -ERR.
var ErrRefused = errors.New("the server refused")

// popConn is a session of POP3 (RFC 1939).
type popConn struct {
	conn net.Conn
	in   *bufio.Reader
	stop func() bool
}

// dialPOP3 opens a session and logs in.
func (s *Server) dialPOP3(ctx context.Context) (*popConn, error) {
	conn, stop, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &popConn{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), stop: stop}
	if err := c.login(ctx, s); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *popConn) login(ctx context.Context, s *Server) error {
	if _, err := c.reply(); err != nil {
		return err
	}
	secured := s.Implicit
	if !secured {
		if _, err := c.command("STLS"); err == nil { // RFC 2595
			if c.in.Buffered() > 0 { // what was sent before TLS must not count as said in it
				return errors.New("the server said something before TLS began")
			}
			t := tls.Client(c.conn, s.tls())
			if err := t.HandshakeContext(ctx); err != nil {
				return fmt.Errorf("TLS: %w", err)
			}
			c.conn, secured = t, true
			c.in.Reset(t)
		} else if !errors.Is(err, ErrRefused) {
			return err
		}
	}
	if err := s.mayLogin(c.conn, secured); err != nil {
		return err
	}
	if strings.ContainsAny(s.User+s.Password, "\r\n") {
		return errors.New("a line end in user or password")
	}
	if _, err := c.command("USER " + s.User); err != nil {
		return err
	}
	_, err := c.command("PASS " + s.Password)
	return err
}

func (c *popConn) close() error {
	c.stop()
	return c.conn.Close()
}

// command sends a line and returns the text of the reply.
func (c *popConn) command(line string) (string, error) {
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return "", err
	}
	return c.reply()
}

// reply reads a reply.
func (c *popConn) reply() (string, error) {
	line, err := c.line()
	if err != nil {
		return "", err
	}
	text := string(line)
	if rest, ok := strings.CutPrefix(text, "+OK"); ok {
		return strings.TrimSpace(rest), nil
	}
	if rest, ok := strings.CutPrefix(text, "-ERR"); ok {
		return "", fmt.Errorf("%w: %s", ErrRefused, strings.TrimSpace(rest))
	}
	return "", fmt.Errorf("no reply of POP3: %.80q", text)
}

// line reads a line without its end. It is valid until the next one.
func (c *popConn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && len(line) > lineMax || errors.Is(err, bufio.ErrBufferFull) {
		err = errors.New("a line of the server is too long")
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// list sends a command and hands each line of the answer to f.
func (c *popConn) list(command string, f func(number, rest string) error) error {
	if _, err := c.command(command); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if string(line) == "." {
			return nil
		}
		number, rest, _ := strings.Cut(string(line), " ")
		if err := f(number, rest); err != nil {
			return err
		}
	}
}

// retrieve returns the text of a message. One that is too long is read to its end,
// so that the session can go on.
func (c *popConn) retrieve(number int, buf []byte) ([]byte, error) {
	if _, err := c.command(fmt.Sprint("RETR ", number)); err != nil {
		return nil, err
	}
	text, start, long := buf[:0], true, false
	for {
		piece, err := c.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if start && piece[0] == '.' { // RFC 1939 section 3
			if s := string(piece); s == ".\r\n" || s == ".\n" {
				break
			}
			piece = piece[1:]
		}
		start = err == nil
		if long = long || len(text)+len(piece) > transfer.MaxTextBytes; !long {
			text = append(text, piece...)
		}
	}
	if long {
		return nil, transfer.ErrTooLong
	}
	return text, nil
}

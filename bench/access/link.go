package access

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"
)

// errRefused reports an answer that says no.
var errRefused = errors.New("refused")

// link is a connection to a server: answers are read through tokens, commands are
// gathered in out and leave with flush.
type link struct {
	tokens
	conn    net.Conn
	out     []byte
	timeout time.Duration // of a write and of a wait for input
	patient bool          // input may take any time, as in IDLE
	limit   time.Time     // read deadline that is set; zero: none
	stop    func() bool   // takes back the watch of the context
}

// open connects. The end of ctx cuts the connection.
func (l *link) open(ctx context.Context, address string, timeout time.Duration, config *tls.Config) error {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	d := net.Dialer{Timeout: timeout}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	l.conn, l.timeout, l.patient, l.limit, l.out = conn, timeout, false, time.Time{}, l.out[:0]
	l.stop = context.AfterFunc(ctx, func() { _ = conn.Close() }) // a session that is cut shows it where it reads
	l.reset(l)
	if config == nil {
		return nil
	}
	return l.protect(ctx, address, config)
}

// protect turns the connection to TLS.
func (l *link) protect(ctx context.Context, address string, config *tls.Config) error {
	if l.buffered() > 0 {
		return malformed("input ahead of the handshake")
	}
	if config.ServerName == "" && !config.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		config = config.Clone()
		config.ServerName = host
	}
	c := tls.Client(l.conn, config)
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	l.conn, l.limit = c, time.Time{}
	l.reset(l)
	return nil
}

// shut closes the connection; it may be called at any time.
func (l *link) shut() {
	if l.conn == nil {
		return
	}
	l.stop()
	_ = l.conn.Close() // everything was said, or the connection is broken
	l.conn = nil
}

// Read reads from the connection within the timeout. The deadline is moved only
// when an eighth of it is over, since setting one costs as much as a small read.
func (l *link) Read(p []byte) (int, error) {
	if l.patient {
		return l.conn.Read(p)
	}
	if now := time.Now(); l.limit.Sub(now) < l.timeout*7/8 {
		l.limit = now.Add(l.timeout)
		if err := l.conn.SetReadDeadline(l.limit); err != nil {
			return 0, err
		}
	}
	return l.conn.Read(p)
}

// wait lets input take any time until last is called, which may be done by
// another goroutine: it sends text as the last word and lets the answer take no
// longer than the timeout.
func (l *link) wait(text string) (last func(), err error) {
	l.patient, l.limit = true, time.Time{}
	conn, timeout := l.conn, l.timeout
	return func() {
		if conn.SetDeadline(time.Now().Add(timeout)) == nil {
			_, _ = conn.Write([]byte(text)) // a failure shows where it reads
		}
	}, conn.SetReadDeadline(time.Time{})
}

// flush sends what was gathered.
func (l *link) flush() error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.timeout)); err != nil {
		return err
	}
	_, err := l.conn.Write(l.out)
	l.out = l.out[:0]
	return err
}

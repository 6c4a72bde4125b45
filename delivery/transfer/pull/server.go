// Package pull reads mail from IMAP and POP3 servers, as sources of an import.
//
// # Guarantees
//
// Nothing is changed at the server: mailboxes are opened with EXAMINE, texts
// fetched with BODY.PEEK, nothing is deleted. A password is sent only over TLS,
// to the machine itself, or where Server.InsecureLogin says so. A connection that
// breaks off is made again, as long as there is progress in between.
//
// # Concurrency
//
// A source belongs to one goroutine. Ending the context of a call closes the
// connection.
package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ErrClear reports a server without TLS to which no password is sent.
var ErrClear = errors.New("the server offers no TLS, and the password is not sent in clear")

// Server is whom to ask, and as whom.
type Server struct {
	Address  string // HOST:PORT
	User     string
	Password string
	// TLS is what a connection is secured with; nil: the system's roots and the host
	// of Address.
	TLS *tls.Config
	// Implicit speaks TLS from the first octet; else STARTTLS or STLS is used.
	Implicit bool
	// InsecureLogin sends the password in clear where the server has no TLS.
	InsecureLogin bool
	// Timeout bounds each wait for the server. 0: 5 minutes.
	Timeout time.Duration
}

func (s *Server) host() string {
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return s.Address
	}
	return host
}

func (s *Server) tls() *tls.Config {
	if s.TLS == nil {
		return &tls.Config{ServerName: s.host(), MinVersion: tls.VersionTLS12}
	}
	c := s.TLS.Clone()
	if c.ServerName == "" {
		c.ServerName = s.host()
	}
	return c
}

// mayLogin says whether the password may be sent over what conn is.
func (s *Server) mayLogin(conn net.Conn, secured bool) error {
	if secured || s.InsecureLogin {
		return nil
	}
	if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && a.Addr().Unmap().IsLoopback() {
		return nil
	}
	return ErrClear
}

// dial opens a connection. Every wait on it is bounded, and it is closed when ctx
// ends before stop is called.
func (s *Server) dial(ctx context.Context) (conn net.Conn, stop func() bool, err error) {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = 5 * time.Minute
	}
	d := net.Dialer{Timeout: timeout}
	raw, err := d.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, nil, err
	}
	stop = context.AfterFunc(ctx, func() { _ = raw.Close() }) // the call that it cuts off tells of it
	conn = &patient{Conn: raw, timeout: timeout}
	if s.Implicit {
		secured := tls.Client(conn, s.tls())
		if err := secured.HandshakeContext(ctx); err != nil {
			stop()
			return nil, nil, errors.Join(fmt.Errorf("TLS: %w", err), raw.Close())
		}
		conn = secured
	}
	return conn, stop, nil
}

// patient is a connection on which each wait is bounded.
type patient struct {
	net.Conn
	timeout time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(p.timeout)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(p.timeout)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// TLSMode says when a connection is secured.
type TLSMode uint8

// The modes.
const (
	NoTLS TLSMode = iota
	StartTLS
	ImplicitTLS
)

var tlsModes = [...]string{"none", "starttls", "implicit"}

// ParseTLS reads none, starttls or implicit.
func ParseTLS(text string) (TLSMode, error) {
	for i, m := range tlsModes {
		if m == text {
			return TLSMode(i), nil
		}
	}
	return 0, modelErr("TLS mode", text, fmt.Errorf("none of %v", tlsModes))
}

// String returns m as ParseTLS reads it.
func (m TLSMode) String() string { return tlsModes[min(int(m), len(tlsModes)-1)] }

// secure is what a worker needs for its handshakes. Each has its sessions for
// itself, as clients have.
type secure struct{ config *tls.Config }

func newSecure(o *Options) secure {
	if o.TLS == NoTLS {
		return secure{}
	}
	var c *tls.Config
	if o.TLSConfig != nil {
		c = o.TLSConfig.Clone()
	} else {
		c = &tls.Config{InsecureSkipVerify: true}
	}
	if c.ServerName == "" {
		if host, _, err := net.SplitHostPort(o.Address); err == nil {
			c.ServerName = host
		} else {
			c.ServerName = "localhost"
		}
	}
	c.ClientSessionCache = nil
	if o.NoResumption {
		c.SessionTicketsDisabled = true
	} else {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return secure{c}
}

// handshake secures conn.
func (w *worker) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.s.o.Timeout)
	defer cancel()
	c := tls.Client(conn, w.secure.config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if c.ConnectionState().DidResume {
		w.tally().resumed.Add(1)
	}
	return c, nil
}

// startTLS secures a connection in the clear (RFC 3207); what the server said
// before is forgotten.
func (w *worker) startTLS(ctx context.Context, conn net.Conn) error {
	w.c.RawString("STARTTLS\r\n")
	if err := w.c.Ask(&w.answer, w.s.o.Timeout); err != nil {
		return err
	}
	if w.answer.Code != 220 {
		return w.refusal()
	}
	if w.c.Buffered() > 0 {
		return errPhase
	}
	conn, err := w.handshake(ctx, conn)
	if err != nil {
		return err
	}
	w.reset(conn)
	return w.hello()
}

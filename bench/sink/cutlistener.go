package sink

import (
	"context"
	"net"
)

// cutListener ends each of its connections with a context.
type cutListener struct {
	net.Listener
	ctx context.Context
}

// Accept waits for a connection.
func (l *cutListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &cutConn{c, context.AfterFunc(l.ctx, func() { _ = c.Close() })}, nil
}

type cutConn struct {
	net.Conn
	stop func() bool
}

// Close ends the connection.
func (c *cutConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

package autoconfig

import (
	"io"
	"log"
	"net"
	"net/netip"
	"sync"

	"postrider/internal/limit"
)

// listener bounds the connections of a listener: one too many is closed at once.
type listener struct {
	net.Listener
	places    chan struct{}
	clients   *limit.Keyed
	perClient int
}

func newListener(l net.Listener, most, perClient int) *listener {
	return &listener{l, make(chan struct{}, most), limit.NewKeyed(most), perClient}
}

// Accept returns the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		client := clientOf(c)
		if counted := client.IsValid() && !client.IsLoopback(); counted && !l.clients.Acquire(client, l.perClient) {
			<-l.places
			_ = c.Close()
			continue
		} else if !counted {
			client = netip.Addr{}
		}
		return &conn{Conn: c, l: l, client: client}, nil
	}
}

func clientOf(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	l      *listener
	client netip.Addr // counted, when valid
	once   sync.Once
}

// Close closes the connection.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		if c.client.IsValid() {
			c.l.clients.Release(c.client)
		}
		<-c.l.places
	})
	return err
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }

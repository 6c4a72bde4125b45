package relay

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/mail"
	"postrider/relay/smtpd"
)

// oneConn is a listener with one connection.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// hungDisk lets the syncs of segments wait while shut is set, until open is closed.
type hungDisk struct {
	shut atomic.Bool
	open chan struct{}
}

func (h *hungDisk) MaybeError(op errorfs.Op) error {
	if h.shut.Load() && op.Kind == errorfs.OpFileSyncData && strings.Contains(op.Path, ".seg") {
		<-h.open
	}
	return nil
}

func (h *hungDisk) String() string { return "hung disk" }

// A session on a disk that hangs is told 4xx at the moment after which its client
// may have given up, and goes on.
// Covers R25, G2.
func TestSessionOnADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		disk := &hungDisk{open: make(chan struct{})}
		// The sync that hung may succeed in the end: then the message goes out
		// though its client was told 451 (G2).
		hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
			for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
				d.SetRest(handedOver)
				src.Done(d)
			}
			return nil
		}}
		e := stubEngineOn(t, errorfs.Wrap(vfs.NewMem(), disk), hop, 0, &ahead)
		o := &smtpd.Options{Hostname: "mx.example", Handler: e.Handler(false)}
		s := smtpd.NewServer("pipe", nil, func() *smtpd.Options { return o })
		l := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		ours, theirs := net.Pipe()
		l.conn <- theirs
		said := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(ours) // ends with the connection
			said <- string(b)
		}()
		disk.shut.Store(true)
		began := time.Now()
		for _, line := range []string{
			"EHLO c.example\r\n", "MAIL FROM:<s@y.example>\r\n", "RCPT TO:<u@x.example>\r\n", "DATA\r\n", "Subject: x\r\n\r\n.\r\n", "QUIT\r\n",
		} {
			if _, err := io.WriteString(ours, line); err != nil {
				t.Fatal(err)
			}
		}
		lines := strings.Split(strings.TrimSpace(<-said), "\r\n")
		took := time.Since(began)
		if got := strings.Join(lines[len(lines)-2:], "|"); !strings.HasPrefix(got, "451 4.3.0 ") || !strings.HasSuffix(got, "|221 2.0.0 Bye") {
			t.Errorf("the session was told %q", got)
		}
		if took != 5*time.Minute {
			t.Errorf("after %v", took)
		}
		disk.shut.Store(false)
		close(disk.open)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

package outbound_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// counted counts the calls that cost.
type counted struct {
	net.Conn
	reads, writes atomic.Int64
}

func (c *counted) Read(p []byte) (int, error)  { c.reads.Add(1); return c.Conn.Read(p) }
func (c *counted) Write(p []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(p) }

// curt answers flights of one message without looking at them closely.
func curt(conn net.Conn, chunking bool) {
	defer func() { _ = conn.Close() }()
	hello, reply, end := "250-x\r\n250 PIPELINING\r\n", []byte("250 2.0.0 ok\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"), []byte("DATA\r\n")
	if chunking {
		hello = "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
		reply, end = []byte("250 2.0.0 ok\r\n250 2.1.0 ok\r\n250 2.0.0 queued as x\r\n"), []byte("end\r\n")
	}
	_, _ = io.WriteString(conn, "220 x\r\n")
	b := make([]byte, 64<<10)
	n := 0
	for {
		m, err := conn.Read(b[n:])
		if err != nil {
			return
		}
		n += m
		switch {
		case bytes.HasPrefix(b[:n], []byte("EHLO")):
			_, err = io.WriteString(conn, hello)
		case bytes.HasSuffix(b[:n], []byte("QUIT\r\n")):
			return
		case bytes.HasSuffix(b[:n], end):
			r := reply
			if !chunking && bytes.HasPrefix(b[:n], []byte("MAIL")) { // no dot before it
				r = r[len("250 2.0.0 ok\r\n"):]
			}
			_, err = conn.Write(r)
		case bytes.HasSuffix(b[:n], []byte("\r\n.\r\n")): // the last one
			_, err = io.WriteString(conn, "250 2.0.0 ok\r\n")
		default:
			continue
		}
		if err != nil {
			return
		}
		n = 0
	}
}

// stream is a source of one message, over and over, that stops at a gate.
type stream struct {
	d    *mail.Delivery
	left int
	more chan int
	idle chan struct{}
	bad  int
}

func (s *stream) Next(_ context.Context, wait time.Duration) *mail.Delivery {
	if s.left == 0 {
		if wait == 0 {
			return nil
		}
		s.idle <- struct{}{}
		if s.left = <-s.more; s.left == 0 {
			return nil
		}
	}
	s.left--
	e, b := s.d.Envelope, s.d.Body
	s.d.Prepare(1)
	s.d.Recipients = append(s.d.Recipients, 0)
	s.d.Envelope, s.d.Body, s.d.Sender = e, b, e.Sender
	return s.d
}

func (s *stream) Done(d *mail.Delivery) {
	if !d.Outcomes[0].OK() {
		s.bad++
	}
}

// pair alternates between two deliveries, since two are in the air at once.
type pair struct {
	stream
	other *mail.Delivery
}

func (p *pair) Next(ctx context.Context, wait time.Duration) *mail.Delivery {
	p.d, p.other = p.other, p.d
	return p.stream.Next(ctx, wait)
}

// costBody is 4 KiB of text.
func costBody() *text {
	line := []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n")
	return &text{data: append(bytes.Repeat(line, 63), "this is the end\r\n"...)}
}

func costSource() *pair {
	body := costBody()
	return &pair{
		stream: stream{d: delivery(body, "s@x", "a@y"), more: make(chan int), idle: make(chan struct{})},
		other:  delivery(body, "s@x", "a@y"),
	}
}

// way is how a cost is measured.
type way struct {
	chunking bool
	tls      *tls.Config // of the peer; nil: in clear
}

func ways(t testing.TB) map[string]way {
	config := newAuthority(t).server("peer")
	return map[string]way{"data": {}, "bdat": {chunking: true}, "data-tls": {tls: config}, "bdat-tls": {chunking: true, tls: config}}
}

// serveCost runs one Serve against a curt peer, and calls f when it first waits.
func serveCost(tb testing.TB, c way, f func(*pair, *counted)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if conn, err := l.Accept(); err == nil {
			if c.tls != nil {
				conn = tls.Server(conn, c.tls)
			}
			curt(conn, c.chunking)
		}
	})
	var conn *counted
	tr := outbound.New(outbound.Options{Timeouts: quick, InFlight: 1, Connect: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, l.Addr().String())
		conn = &counted{Conn: c}
		return conn, err
	}})
	hop := mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: "peer:25"}
	if c.tls != nil {
		hop.Address = "peer:465"
	}
	src := costSource()
	wg.Go(func() {
		if err := tr.Serve(tb.Context(), nil, &mail.Egress{Hop: hop}, src); err != nil {
			tb.Error(err)
		}
	})
	<-src.idle
	f(src, conn)
	src.more <- 0
	wg.Wait()
	if src.bad > 0 {
		tb.Errorf("%d were not delivered", src.bad)
	}
}

// In a stream a message costs one write, one read and no memory. Encrypted, what
// crypto/tls takes for each record that it reads is all, at both ends; and no read
// or write is added.
// Covers D9, D10.
func TestCost(t *testing.T) {
	for name, c := range ways(t) {
		t.Run(name, func(t *testing.T) {
			serveCost(t, c, func(src *pair, conn *counted) {
				const batch = 200
				send := func() {
					src.more <- batch
					<-src.idle
				}
				send()
				r, w := conn.reads.Load(), conn.writes.Load()
				send()
				// A batch that stops and starts has one exchange more.
				if r, w = conn.reads.Load()-r, conn.writes.Load()-w; r > batch+2 || w > batch+2 {
					t.Errorf("%d reads and %d writes for %d messages", r, w, batch)
				}
				most := 1.0
				switch {
				case c.tls != nil && raced: // crypto/tls has its buffers in a pool
					most = 20 * batch
				case c.tls != nil:
					most = 2*batch + 10
				}
				if a := testing.AllocsPerRun(10, send); a > most {
					t.Errorf("%v allocations for %d messages", a, batch)
				}
			})
		})
	}
}

// BenchmarkServe includes the curt peer.
func BenchmarkServe(b *testing.B) {
	for name, c := range ways(b) {
		b.Run(name, func(b *testing.B) {
			serveCost(b, c, func(src *pair, _ *counted) {
				b.ReportAllocs()
				b.ResetTimer()
				src.more <- b.N
				<-src.idle
				b.StopTimer()
			})
		})
	}
}

package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"postrider/bench/result"
)

// crowd holds connections that send nothing, or a byte now and then.
type crowd struct {
	conns     int
	bytesEach float64 // resident memory of the server for each, 0: not known
	open, cut atomic.Int64
	wg        sync.WaitGroup
	cancel    context.CancelFunc
}

// gather opens the connections of i to address and returns when all are open.
// They live until disperse.
func gather(ctx context.Context, i Idle, address string) (*crowd, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &crowd{conns: i.Conns, cancel: cancel}
	errs := make(chan error, i.Conns)
	slots := make(chan struct{}, 100) // connections being opened at once
	for n := range i.Conns {
		c.wg.Go(func() {
			slots <- struct{}{}
			conn, err := arrive(ctx, i.Service, address, n)
			<-slots
			errs <- err
			if err == nil {
				c.hold(ctx, conn, i.Every.D())
			}
		})
	}
	for range i.Conns {
		if err := <-errs; err != nil {
			c.disperse()
			return nil, fmt.Errorf("idle connections: %w", err)
		}
	}
	return c, nil
}

// arrive opens a connection from one of many loopback addresses, since servers
// bound what one client may hold, and waits for the greeting.
func arrive(ctx context.Context, service, address string, n int) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Minute}
	if host, _, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsLoopback() && net.ParseIP(host).To4() != nil {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 9, byte(n/50/250), byte(n/50%250+1))}
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the read below says so
	defer stop()
	// The error shows in the read.
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReaderSize(conn, 512)
	line, err := r.ReadString('\n')
	if err == nil && service != "pop3" && service != "imap" && (len(line) < 3 || line[:3] != "220") {
		err = fmt.Errorf("greeted by %q", line)
	}
	if err != nil {
		_ = conn.Close() // the error is more telling
		return nil, err
	}
	return conn, nil
}

// hold keeps a connection until ctx ends or the server closes it.
func (c *crowd) hold(ctx context.Context, conn net.Conn, every time.Duration) {
	c.open.Add(1)
	defer c.open.Add(-1)
	defer func() { _ = conn.Close() }() // nothing is owed
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if every > 0 {
		c.wg.Go(func() {
			for text := []byte("EHLO slow.bench.test"); len(text) > 0 && pause(ctx, every); text = text[1:] {
				if _, err := conn.Write(text[:1]); err != nil {
					return // the reader below says so
				}
			}
		})
	}
	// No deadline: the server decides how long it lets a silent client be.
	_ = conn.SetReadDeadline(time.Time{})
	b := make([]byte, 256)
	for {
		if _, err := conn.Read(b); err != nil {
			if ctx.Err() == nil {
				c.cut.Add(1)
			}
			return
		}
	}
}

// disperse closes every connection and waits.
func (c *crowd) disperse() {
	c.cancel()
	c.wg.Wait()
}

// crowdValues adds what idle connections cost.
func (r *round) crowdValues(run *result.Run, crowds []*crowd) {
	for _, c := range crowds {
		run.Values = append(run.Values,
			result.Value{Name: "memory of a connection", Unit: "B", Got: c.bytesEach, Note: fmt.Sprintf("resident, %d connections", c.conns)},
			result.Value{Name: "idle connections that were closed", Unit: "", Got: float64(c.cut.Load())})
	}
}

// Package sink is the receiving end of a measurement: SMTP or LMTP servers that
// take everything, keep nothing, and can say exactly what they have been given.
//
// A Server is one of them, whose answers can be scripted (see Script): refusals by
// share or by domain, delays, and connections dropped when the text was taken and
// the reply not yet sent, which is how duplicates are made. A Farm is thousands of
// domains at loopback addresses of their own, or behind one address, each of which
// behaves as its Site says (see Policy): latencies, limits that are kept and whose
// violations are counted, greylists, black holes, tarpits, TLS good and bad, times
// in which it is down. Mail for the domain of the senders is read as DSNs.
//
// Both cost little, so that they do not limit what they measure: one read and one
// write a message, no allocation. They read the wire with code of their own, on
// purpose: a mistake in the grammar of relay/smtp must not be able to hide here.
// A Farm can be served with go-smtp instead, so that a mistake here can't either.
//
// # What is counted
//
// A message counts when its end was seen and it was not refused, whether or not
// the reply reached anybody. The generator names each duty, one recipient of one
// message, in the address (r<seq>.<n>@domain), and the header X-Bench names the run
// and the moment at which the message was due. With Verify the body must have the
// hash that X-Bench states.
//
// A Farm writes to the ledger of the run (package ledger), which knows what was
// sent, and measures from the intended moment until the message was here. A Server
// in a process of its own knows nothing of what was sent: its Ledger counts how
// often each duty came.
//
// # Concurrency
//
// Server and Farm are safe for concurrent use. Serve owns a goroutine for each
// connection and each listener, and returns when all of them have ended. What
// belongs to a connection belongs to its goroutine; counts are atomics, and each
// lock is held for a few instructions and never together with another, but for
// those of the latencies, whose order is stated there.
package sink

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Server. The zero value takes everything.
type Options struct {
	Hostname     string // in the greeting; "": "sink.invalid"
	LMTP         bool   // LHLO, and one reply for each recipient (RFC 2033)
	NoPipelining bool   // do not offer PIPELINING
	NoChunking   bool   // do not offer CHUNKING
	MaxSize      int64  // offered by SIZE, not enforced; 0: none is stated

	Script *Script // what to refuse; nil: nothing
	Ledger *Ledger // counts every duty; nil: only totals
	Verify bool    // compare each body with the hash in its X-Bench header

	// Idle is how long a connection may be silent; 0: 5 min. It is coarse.
	Idle time.Duration
}

// Counts are totals since the Server was made.
type Counts struct {
	Connections int64 // accepted
	Open        int64 // connected now
	Messages    int64 // taken
	Recipients  int64 // of the messages taken, for whom they were taken
	Bytes       int64 // of text, as sent but without stuffed dots
	Deferred    int64 // replies of 4xx
	Refused     int64 // replies of 5xx
	Dropped     int64 // connections that the script cut off
	BadHash     int64 // bodies unlike the hash in their header, or without one
	Misdirected int64 // duties whose address names another message than the header
	Malformed   int64 // commands that were not understood
}

// less returns what came since before; Open is as it is.
func (c Counts) less(before Counts) Counts {
	c.Connections -= before.Connections
	c.Messages -= before.Messages
	c.Recipients -= before.Recipients
	c.Bytes -= before.Bytes
	c.Deferred -= before.Deferred
	c.Refused -= before.Refused
	c.Dropped -= before.Dropped
	c.BadHash -= before.BadHash
	c.Misdirected -= before.Misdirected
	c.Malformed -= before.Malformed
	return c
}

// counters are Counts as they grow.
type counters struct {
	connections, open, messages, recipients, bytes    atomic.Int64
	deferred, refused, dropped, badHash, mis, unknown atomic.Int64
}

// Server is a scripted receiver.
type Server struct {
	o        Options
	greeting []byte
	hello    []byte // the reply to EHLO or LHLO
	n        counters
	idle     sync.Pool // of *session
	farm     *Farm     // whose engine it is; nil: none's
}

// New returns a Server.
func New(o Options) *Server {
	if o.Hostname == "" {
		o.Hostname = "sink.invalid"
	}
	if o.Idle <= 0 {
		o.Idle = 5 * time.Minute
	}
	s := &Server{o: o}
	proto := "ESMTP"
	if o.LMTP {
		proto = "LMTP"
	}
	s.greeting = []byte("220 " + o.Hostname + " " + proto + " sink\r\n")
	s.hello = helloReply(&o, false, "")
	return s
}

// Counts returns the totals.
func (s *Server) Counts() Counts {
	return Counts{
		Connections: s.n.connections.Load(),
		Open:        s.n.open.Load(),
		Messages:    s.n.messages.Load(),
		Recipients:  s.n.recipients.Load(),
		Bytes:       s.n.bytes.Load(),
		Deferred:    s.n.deferred.Load(),
		Refused:     s.n.refused.Load(),
		Dropped:     s.n.dropped.Load(),
		BadHash:     s.n.badHash.Load(),
		Misdirected: s.n.mis.Load(),
		Malformed:   s.n.unknown.Load(),
	}
}

// Serve accepts connections from l until ctx ends, then closes l and every
// connection, and returns nil when all is still. Any other end of l is an error.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { return s.serveAt(ctx, l, nil) }

// serveAt is Serve for the address of a place.
func (s *Server) serveAt(ctx context.Context, l net.Listener, at *place) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = l.Close() // Accept says so
	})
	defer func() {
		if !stop() {
			<-closed
		}
	}()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			wg.Go(func() { s.serve(ctx, conn, at) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of descriptors, or the peer is gone already: others go on
			if !pause(ctx, 10*time.Millisecond) {
				return nil
			}
		}
	}
}

// serve runs one connection.
func (s *Server) serve(ctx context.Context, conn net.Conn, at *place) {
	s.n.connections.Add(1)
	s.n.open.Add(1)
	defer s.n.open.Add(-1)
	ss, _ := s.idle.Get().(*session)
	if ss == nil {
		ss = &session{}
	}
	ss.reset(s, ctx, conn, at)
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = conn.Close() // its reader says so
	})
	ss.run()
	if !stop() {
		<-cut
	}
	_ = conn.Close() // nothing is owed: run has written what it had to
	s.idle.Put(ss)
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// helloReply is the reply to EHLO; more is one more line of it, if not empty.
func helloReply(o *Options, startTLS bool, more string) []byte {
	lines := []string{o.Hostname, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"}
	if startTLS {
		lines = append(lines, "STARTTLS")
	}
	if more != "" {
		lines = append(lines, more)
	}
	if !o.NoPipelining {
		lines = append(lines, "PIPELINING")
	}
	if !o.NoChunking {
		lines = append(lines, "CHUNKING")
	}
	if o.MaxSize > 0 {
		lines = append(lines, "SIZE "+formatInt(o.MaxSize))
	} else {
		lines = append(lines, "SIZE")
	}
	var b []byte
	for i, l := range lines {
		sep := byte('-')
		if i == len(lines)-1 {
			sep = ' '
		}
		b = append(append(append(append(b, "250"...), sep), l...), '\r', '\n')
	}
	return b
}

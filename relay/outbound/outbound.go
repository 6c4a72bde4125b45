// Package outbound hands messages to SMTP and LMTP servers.
//
// A Transport serves one connection at a time to each of its callers: it dials
// the targets it is given until one is ready, and then pulls deliveries from a
// mail.Source for as long as there are any, since the connection that is open is
// the cheapest one. What a
// server offers decides how: with PIPELINING the commands of a transaction go
// out together, and its text, the final dot and the commands of the next
// transaction share one write (the joined dot), so that in a stream a message
// costs one write and one read. With CHUNKING too, a message of up to 64 KiB is
// one flight of MAIL, RCPT and BDAT LAST, and several are in the air at once.
// Without PIPELINING every command waits for its reply.
//
// # Guarantees
//
// Every delivery that was pulled is given back with Done before Serve returns. A
// recipient's outcome is one of three: what the server said of it; a temporary
// status of ours, when the conversation broke while it was under way, with
// Delivery.DotSent telling whether the server may have the message all the same;
// or the zero Status, which says that the message can't have been taken and the
// attempt does not count.
//
// A text with a CR or LF that stands alone is failed and its end is never sent,
// so that no server can be made to see two messages in it. Addresses are written
// only if they keep the grammar. A body that proves to be corrupt is cut off
// before its end, and Delivery.Corrupt is set.
//
// A policy that demands encryption is kept or the mail waits. Under mail.TLSMay a
// failed handshake costs a new connection, in clear, and is remembered for the
// host; mail.Remote tells what was wanted and what was got.
//
// All judgement of failures is in trouble.go.
//
// # Concurrency
//
// A Transport is safe for concurrent use; each Serve owns its connection and
// runs on the goroutine of its caller. A context that ends breaks off what is under
// way, at once.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postrider/relay/smtp"
)

// Options configure a Transport. The zero value works.
type Options struct {
	Hostname string        // said in EHLO and LHLO where the source names none; "": "localhost"
	Dial     time.Duration // for the TCP or unix connection to stand; 0: 30 s
	Stagger  time.Duration // after which an address of the other family is dialled, too; 0: 250 ms
	Timeouts smtp.Timeouts // of the phases of the conversation; zero fields: RFC 5321 section 4.5.3.2
	Idle     time.Duration // how long a connection waits for another delivery; 0: 5 s
	Life     time.Duration // after which a connection takes no more deliveries; 0: 5 min
	InFlight int           // transactions in the air at once with CHUNKING, 1 to 16; 0: 16
	Delivery time.Duration // the longest that one delivery may take in all; 0: 2 h

	// Of the targets of one Serve, at most so many addresses are dialled, and at
	// most so many connections that stand may fail before one is ready.
	Addresses int // 0: 5
	Sessions  int // 0: 2

	// LocalAddress is the address that connections come from where the source
	// names none; the zero value lets the system choose.
	LocalAddress netip.Addr
	// Connect makes a connection to an address ("tcp" or "unix"); nil: the
	// system's way, from the source's address. It is told to stop after Dial.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are the authorities whose certificates are trusted; nil: the system's.
	Roots *x509.CertPool
	// BrokenTLS is how long a host with which no handshake succeeds gets mail in
	// clear at once, where the policy allows it; 0: 4 h.
	BrokenTLS time.Duration
	// Session draws the id of a connection; nil: a counter of this Transport.
	Session func() uint64
}

const (
	maxInFlight     = 16       // the bound of guarantee G3
	flightTextBytes = 64 << 10 // larger texts wait until their recipients are accepted
	pieceBytes      = 64 << 10 // texts that are not in memory are read in such pieces

	resumable = 1024 // hosts whose TLS sessions are kept, a few KiB each

	// Replies that may be outstanding before some are read. A server that writes
	// them before it reads on needs room for them in the socket buffers, or both
	// sides wait for ever (RFC 2920 section 3.1): 64 usual replies are 4 KiB, and
	// 64 of the longest legal lines (512 bytes) still fit in the 64 KiB that any
	// system gives.
	windowReplies = 64
)

// Transport delivers over SMTP and LMTP.
type Transport struct {
	o        Options
	sessions atomic.Uint64
	idle     sync.Pool // of *session, for their memory
	families families
	broken   brokenHosts
	lives    lives
	resume   tls.ClientSessionCache
}

// New returns a Transport.
func New(o Options) *Transport {
	if o.Dial <= 0 {
		o.Dial = 30 * time.Second
	}
	if o.Idle <= 0 {
		o.Idle = 5 * time.Second
	}
	if o.Life <= 0 {
		o.Life = 5 * time.Minute
	}
	if o.InFlight <= 0 || o.InFlight > maxInFlight {
		o.InFlight = maxInFlight
	}
	if o.Delivery <= 0 {
		o.Delivery = 2 * time.Hour
	}
	if o.Stagger <= 0 {
		o.Stagger = 250 * time.Millisecond // RFC 8305 section 5
	}
	if o.Addresses <= 0 {
		o.Addresses = 5
	}
	if o.Sessions <= 0 {
		o.Sessions = 2
	}
	if o.BrokenTLS <= 0 {
		o.BrokenTLS = 4 * time.Hour
	}
	return &Transport{o: o, resume: tls.NewLRUClientSessionCache(resumable)}
}

func (t *Transport) session() uint64 {
	if t.o.Session != nil {
		return t.o.Session()
	}
	return t.sessions.Add(1)
}

// remoteAddr returns the peer's address, or the zero value for a unix socket.
func remoteAddr(conn net.Conn) netip.AddrPort {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

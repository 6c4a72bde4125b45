// Package dnstest is a DNS server for tests and measurements: it knows the mail
// domains of a made-up world, answers for everything else that they do not exist,
// and fails on purpose where it is told to.
//
// Records are added by hand (AddMail, AddHost, AddTXT, AddTLSA, AddSRV, AddPTR, AddCNAME,
// AddBomb) or come from a function of a number (Generate), so that a hundred thousand
// domains need no records in memory. Faults are set for a name and everything
// below it (Fail), for a share of the domains (FailDomains) or for a share of the
// queries (FailQueries). Every query is counted by domain, which shows how well the
// cache of a client works.
//
// To its clients it looks like a recursive resolver: recursion is available, and
// with Options.Authentic the data is authentic (AD) as from one that validates. It
// answers over UDP and TCP on the same port.
//
// # Concurrency
//
// A Server is safe for concurrent use; records and faults may change while it
// serves. Serve owns every goroutine and returns when all have ended.
package dnstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Options configure a Server.
type Options struct {
	TTL         time.Duration // of records; 0: 60 s
	NegativeTTL time.Duration // of "there is none"; 0: 5 s
	Authentic   bool          // answers are authentic, for clients that ask for AD or DO
}

// Server is a DNS server of made-up zones.
type Server struct {
	o     Options
	conn  net.PacketConn
	tcp   net.Listener
	zones zones
	fault faults
	n     counts
}

// New returns a Server that knows no name.
func New(o Options) *Server {
	if o.TTL <= 0 {
		o.TTL = time.Minute
	}
	if o.NegativeTTL <= 0 {
		o.NegativeTTL = 5 * time.Second
	}
	return &Server{o: o, zones: zones{static: map[string]node{}, mail: map[string]bool{}, below: map[string]int{}}, n: counts{domains: map[string]int64{}}}
}

// Listen binds UDP and TCP at address, such as "127.0.0.1:0", and returns the
// address that was bound. Serve answers there; Close gives it up again.
func (s *Server) Listen(address string) (string, error) {
	var lastErr error
	for range 20 { // a free UDP port need not be free for TCP
		conn, err := net.ListenPacket("udp", address)
		if err != nil {
			return "", fmt.Errorf("dnstest: %w", err)
		}
		l, err := net.Listen("tcp", conn.LocalAddr().String())
		if err == nil {
			s.conn, s.tcp = conn, l
			return conn.LocalAddr().String(), nil
		}
		lastErr = errors.Join(err, conn.Close())
	}
	return "", fmt.Errorf("dnstest: %w", lastErr)
}

// Addr returns the address that Listen has bound, "" before.
func (s *Server) Addr() string {
	if s.conn == nil {
		return ""
	}
	return s.conn.LocalAddr().String()
}

// Close gives up what Listen has bound, for a Server that is never served.
func (s *Server) Close() error {
	if s.conn == nil {
		return nil
	}
	return errors.Join(s.conn.Close(), s.tcp.Close())
}

// Serve answers until ctx ends, and returns nil when all is still.
func (s *Server) Serve(ctx context.Context) error {
	if s.conn == nil {
		return errors.New("dnstest: Serve before Listen")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { s.answer(ctx, w, q) })
	errs := make(chan error, 2)
	var started, ended sync.WaitGroup
	started.Add(2)
	servers := []*dns.Server{{PacketConn: s.conn, Handler: h, UDPSize: 4096}, {Listener: s.tcp, Handler: h}}
	for _, d := range servers {
		d.NotifyStartedFunc = sync.OnceFunc(started.Done)
		ended.Go(func() {
			err := d.ActivateAndServe()
			d.NotifyStartedFunc() // if it never was
			errs <- err
			cancel() // one without the other is no server
		})
	}
	started.Wait()
	<-ctx.Done()
	for _, d := range servers {
		_ = d.Shutdown() // its end is in errs
	}
	ended.Wait()
	return errors.Join(<-errs, <-errs, ignoreClosed(s.conn.Close()), ignoreClosed(s.tcp.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// answer replies to one query.
func (s *Server) answer(ctx context.Context, w dns.ResponseWriter, q *dns.Msg) {
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable, m.Authoritative = true, true
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		_ = w.WriteMsg(m) // who does not read it has gone
		return
	}
	name, kind := canonical(q.Question[0].Name), q.Question[0].Qtype
	domain := s.zones.domain(name)
	fault, delay := s.fault.of(domain, name)
	s.n.add(domain, kind, udp, fault != "")
	if delay > 0 && !wait(ctx, delay) {
		return
	}
	size := dns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		size = max(size, min(int(opt.UDPSize()), 4096))
		m.SetEdns0(4096, opt.Do())
		m.AuthenticatedData = s.o.Authentic && opt.Do()
	}
	m.AuthenticatedData = m.AuthenticatedData || s.o.Authentic && q.AuthenticatedData
	if !s.fill(m, fault, name, kind, udp) {
		return
	}
	if !udp {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	s.send(w, m, fault, udp)
}

// fill puts the answer into m; false: there is none at all.
func (s *Server) fill(m *dns.Msg, fault Kind, name string, kind uint16, udp bool) bool {
	switch fault {
	case Timeout:
		return false
	case ServFail:
		m.Rcode, m.AuthenticatedData = dns.RcodeServerFailure, false
		return true
	case Lame:
		m.Rcode, m.Authoritative, m.AuthenticatedData = dns.RcodeRefused, false, false
		return true
	case NXDomain:
		m.Rcode = dns.RcodeNameError
	case Truncate:
		if udp {
			m.Truncated = true
			return true
		}
	case Referral:
		m.Authoritative, m.RecursionAvailable, m.AuthenticatedData = false, false, false
		m.Ns = []dns.RR{&dns.NS{Hdr: header("test", dns.TypeNS), Ns: "ns.elsewhere.invalid."}}
		return true
	default:
	}
	if m.Rcode == dns.RcodeSuccess {
		var exists bool
		m.Answer, exists = s.zones.lookup(name, kind, fault, uint32(s.o.TTL/time.Second))
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
	}
	if len(m.Answer) == 0 || m.Rcode != dns.RcodeSuccess { // RFC 2308 section 3
		ttl := uint32(s.o.NegativeTTL / time.Second)
		m.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
			Ns:  "ns.invalid.", Mbox: "hostmaster.invalid.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: ttl,
		}}
	}
	return true
}

// wait reports false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

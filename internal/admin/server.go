package admin

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options are what the interface serves, and where.
type Options struct {
	// Socket is the path of the unix socket; empty: none.
	Socket string
	// HTTP is HOST:PORT to serve on as well; empty: none.
	HTTP string
	// TLS encrypts HTTP; nil: in clear.
	TLS *tls.Config
	// Token is asked of requests over TCP for anything but figures and health;
	// empty: those are all that TCP serves.
	Token string

	Queue   Queue
	Status  func() Status
	Checks  func() []Check // of readiness
	Metrics http.Handler
	// Explain tells what would become of mail from an address, which may be empty,
	// to one. nil: there is nobody who knows.
	Explain func(ctx context.Context, to, from string) (*Explanation, error)
	// Mailboxes serves /api/v1/mailboxes/ on the socket, and there alone; it bounds
	// its requests itself. nil: there are none.
	Mailboxes http.Handler
	// Backup writes a copy of everything to a folder, on the socket alone. nil: nobody
	// can.
	Backup func(ctx context.Context, dir string) error
	// Failed is told of a server that stopped although nobody closed it; nil:
	// nobody is told.
	Failed func(error)
}

// Bounds on requests. The interface is for one operator and a few monitors.
const (
	maxHeaderBytes = 64 << 10
	maxBodyBytes   = 64 << 10
	readTimeout    = 10 * time.Second
	idleTimeout    = 2 * time.Minute
)

// Server is a running interface.
type Server struct {
	o       Options
	servers []*http.Server
	tcp     net.Addr
	done    sync.WaitGroup
}

// Start opens the socket and the TCP address and serves them until Close.
func Start(o Options) (*Server, error) {
	s := &Server{o: o}
	type place struct {
		l net.Listener
		h http.Handler
	}
	var places []place
	closeAll := func() {
		for _, p := range places {
			_ = p.l.Close() // the error that brought us here is the one to tell
		}
	}
	if o.Socket != "" {
		l, err := listenSocket(o.Socket)
		if err != nil {
			return nil, fmt.Errorf("admin socket: %w", err)
		}
		places = append(places, place{l, s.socketHandler()})
	}
	if o.HTTP != "" {
		l, err := s.listenTCP()
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("admin http: %w", err)
		}
		s.tcp = l.Addr()
		places = append(places, place{l, s.tcpHandler()})
	}
	for _, p := range places {
		srv := &http.Server{
			Handler: p.h, ReadHeaderTimeout: readTimeout, IdleTimeout: idleTimeout,
			MaxHeaderBytes: maxHeaderBytes,
		}
		s.servers = append(s.servers, srv)
		s.done.Go(func() {
			if err := srv.Serve(p.l); !errors.Is(err, http.ErrServerClosed) && o.Failed != nil {
				o.Failed(err)
			}
		})
	}
	return s, nil
}

// Addr returns the TCP address that is served; nil when there is none.
func (s *Server) Addr() net.Addr { return s.tcp }

// Close stops serving: it waits for requests until ctx ends, then cuts them off.
func (s *Server) Close(ctx context.Context) error {
	var errs []error
	for _, srv := range s.servers {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, srv.Close())
		}
	}
	s.done.Wait()
	return errors.Join(errs...)
}

// listenTCP refuses what would let the network in without a lock.
func (s *Server) listenTCP() (net.Listener, error) {
	l, err := net.Listen("tcp", s.o.HTTP)
	if err != nil {
		return nil, err
	}
	a, err := netip.ParseAddrPort(l.Addr().String())
	if (err != nil || !a.Addr().Unmap().IsLoopback()) && (s.o.TLS == nil || s.o.Token == "") {
		return nil, errors.Join(fmt.Errorf("%s is not a loopback address: TLS and a token are needed there", s.o.HTTP), l.Close())
	}
	if s.o.TLS != nil {
		l = tls.NewListener(l, s.o.TLS)
	}
	return l, nil
}

// figures are what everybody may see who reaches the server.
func (s *Server) figures(m *http.ServeMux) {
	m.Handle("GET /metrics", s.o.Metrics)
	m.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // a lost client needs nothing
	})
	m.HandleFunc("GET /readyz", s.ready)
	m.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, s.o.Status())
	})
}

// content is the queue: who sees it sees people's mail.
func (s *Server) content(m *http.ServeMux, guard func(http.HandlerFunc) http.Handler) {
	m.Handle("GET /api/v1/queue", guard(s.list))
	m.Handle("GET /api/v1/messages/{id}", guard(s.show))
	m.Handle("GET /api/v1/explain", guard(s.explain))
	m.Handle("GET /api/v1/messages/{id}/raw", guard(s.raw))
	for _, a := range Actions() {
		m.Handle("POST /api/v1/queue/"+string(a), guard(s.act(a)))
	}
	m.Handle("POST /api/v1/queue/confirm-clock", guard(s.confirmClock))
}

func (s *Server) socketHandler() http.Handler {
	m := http.NewServeMux()
	s.figures(m)
	s.content(m, func(h http.HandlerFunc) http.Handler { return h })
	m.HandleFunc("POST /api/v1/backup", s.backup)
	m.HandleFunc("GET /debug/pprof/", pprof.Index)
	m.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	m.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if s.o.Mailboxes == nil {
		return bounded(m)
	}
	all := http.NewServeMux()
	all.Handle("/", bounded(m))
	all.Handle("/api/v1/mailboxes/", s.o.Mailboxes)
	return all
}

func (s *Server) tcpHandler() http.Handler {
	m := http.NewServeMux()
	s.figures(m)
	s.content(m, func(h http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.authorized(r) {
				w.Header().Set("WWW-Authenticate", "Bearer")
				fail(w, http.StatusUnauthorized, "a token is needed")
				return
			}
			h(w, r)
		})
	})
	return bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.ownHost(r.Host) {
			fail(w, http.StatusMisdirectedRequest, "no such host here")
			return
		}
		if !sameOrigin(r) {
			fail(w, http.StatusForbidden, "requests from other sites are not answered")
			return
		}
		if !s.loopbackOnly() && !s.authorized(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, http.StatusUnauthorized, "a token is needed")
			return
		}
		m.ServeHTTP(w, r)
	}))
}

// loopbackOnly reports that nobody from elsewhere can reach the TCP address.
func (s *Server) loopbackOnly() bool {
	a, err := netip.ParseAddrPort(s.tcp.String())
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// authorized compares the token in constant time.
func (s *Server) authorized(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && s.o.Token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.o.Token)) == 1
}

// ownHost accepts a Host that no foreign DNS zone can hold: an address,
// localhost, or the name that the configuration gives.
func (s *Server) ownHost(host string) bool {
	name := hostOf(host)
	if _, err := netip.ParseAddr(name); err == nil || strings.EqualFold(name, "localhost") {
		return true
	}
	return strings.EqualFold(name, hostOf(s.o.HTTP))
}

func hostOf(hostPort string) string {
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		return h
	}
	return strings.Trim(hostPort, "[]")
}

// sameOrigin accepts requests of programs, which send no Origin, and of pages
// that this server gave out.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "" || site == "same-origin" || site == "none"
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'")
		h.ServeHTTP(w, r)
	})
}

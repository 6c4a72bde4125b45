// Package autoconfig tells mail programs how to reach the mail server, so that a user
// enters a name, an address and a password and nothing else. Thunderbird, KMail,
// Evolution, K-9 and others ask
//
//	http(s)://autoconfig.DOMAIN/mail/config-v1.1.xml?emailaddress=USER@DOMAIN
//	http(s)://DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=...
//
// and get a page of XML (clientConfig, version 1.1). The wiring is
//
//	server := autoconfig.New(autoconfig.Options{
//		Domains: func() []string { return cfg.Local.Domains },
//		Servers: func() []autoconfig.Server {
//			return []autoconfig.Server{
//				{Kind: autoconfig.POP3, Host: "mail.example.org", Port: 995, Security: autoconfig.TLS},
//				{Kind: autoconfig.Submission, Host: "mail.example.org", Port: 465, Security: autoconfig.TLS},
//			}
//		},
//	})
//	go server.Serve(listener)
//	...
//	err := server.Shutdown(ctx)
//
// Guarantees:
//
//   - The answer depends on the domain alone: whether a user exists cannot be learned.
//     Nothing that the request holds is in it.
//   - Only the two paths are served, for GET and HEAD, and nothing is read of a
//     request beyond its head. Connections are few and short: in all, and of a client.
//
// # Concurrency
//
// A Server is safe for concurrent use. Shutdown and Close wait for nothing but its
// own connections; Serve returns when either was called.
package autoconfig

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"postrider/internal/dns"
)

// Kind is what a server is for.
type Kind string

// The kinds, as the page calls them.
const (
	IMAP       Kind = "imap"
	POP3       Kind = "pop3"
	Submission Kind = "smtp"
)

// Security is how a connection is encrypted.
type Security string

// The ways, as the page calls them. There is none in clear: a server that would take
// a password so is not told of.
const (
	TLS      Security = "SSL" // from the first octet, on a port of its own
	STARTTLS Security = "STARTTLS"
)

// Server is one that a mail program may use.
type Server struct {
	Kind     Kind
	Host     string
	Port     uint16
	Security Security
}

// Options configure a Server. Functions are called for each request and must be cheap
// and safe for concurrent use.
type Options struct {
	Domains func() []string // whose users are told; any case, any script
	Servers func() []Server // in any order

	// Name is what mail programs call the provider; "": the domain.
	Name string

	Connections          int // at once; 0: 200
	ConnectionsPerClient int // but not from loopback, where a proxy may be; 0: 10

	// Observe, when not nil, is told of each request: the status that was answered.
	Observe func(status int)
}

// Bounds on requests.
const (
	maxQueryBytes  = 1024 // an address has at most 254
	maxHeaderBytes = 4 << 10
	readTimeout    = 5 * time.Second
	writeTimeout   = 10 * time.Second
	idleTimeout    = 5 * time.Second
)

// paths returns where the page is.
func paths() [2]string {
	return [2]string{"/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"}
}

// HTTP is a server of the page.
type HTTP struct {
	o    Options
	http http.Server
}

// New returns a server of the page.
func New(o Options) *HTTP {
	if o.Connections <= 0 {
		o.Connections = 200
	}
	if o.ConnectionsPerClient <= 0 {
		o.ConnectionsPerClient = 10
	}
	s := &HTTP{o: o}
	s.http = http.Server{
		Handler: s, MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: silent(), // what strangers send is no news
	}
	return s
}

// Serve answers requests that come by l until Shutdown or Close, which close l, and
// returns nil then.
func (s *HTTP) Serve(l net.Listener) error {
	err := s.http.Serve(newListener(l, s.o.Connections, s.o.ConnectionsPerClient))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown lets requests finish until ctx ends.
func (s *HTTP) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close cuts every connection.
func (s *HTTP) Close() error { return s.http.Close() }

// ServeHTTP answers one request.
func (s *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body := s.answer(r)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	switch status {
	case http.StatusOK:
		h.Set("Content-Type", "application/xml; charset=utf-8")
		h.Set("Cache-Control", "max-age=300")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD")
		fallthrough
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Connection", "close")
		body = []byte(http.StatusText(status) + "\n")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away is no matter
	}
	if s.o.Observe != nil {
		s.o.Observe(status)
	}
}

func (s *HTTP) answer(r *http.Request) (status int, body []byte) {
	known := paths()
	switch {
	case r.URL.Path != known[0] && r.URL.Path != known[1]:
		return http.StatusNotFound, nil
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return http.StatusMethodNotAllowed, nil
	case len(r.URL.RawQuery) > maxQueryBytes:
		return http.StatusRequestURITooLong, nil
	}
	asked, ok := domainOf(r)
	if !ok {
		return http.StatusBadRequest, nil
	}
	for _, domain := range s.o.Domains() {
		if name, ok := dns.ASCII(domain); ok && name == asked {
			body, err := page(asked, s.o.Name, s.o.Servers())
			if err != nil {
				return http.StatusInternalServerError, nil
			}
			return http.StatusOK, body
		}
	}
	return http.StatusNotFound, nil
}

// domainOf returns the domain that a request is about: that of the address or, where
// none was sent, that of the server that was asked for.
func domainOf(r *http.Request) (string, bool) {
	query := r.URL.Query()
	if address := query.Get("emailaddress"); address != "" || query.Has("emailaddress") {
		at := strings.LastIndexByte(address, '@')
		if at < 1 {
			return "", false
		}
		return dns.ASCII(address[at+1:])
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	name, ok := dns.ASCII(host)
	return strings.TrimPrefix(name, "autoconfig."), ok
}

// Package smtpd holds receiving sessions of SMTP and LMTP.
package smtpd

import (
	"context"
	"net"

	"postrider/internal/wire"
)

// Server holds the sessions of one listener.
type Server struct {
	listener string
	census   *wire.Census
	options  func() *Options
}

// NewServer returns a server for the listener that the configuration calls by
// that name. options is asked at each new connection. Servers that share a
// census share its counts of connections; nil gives the server its own.
func NewServer(listener string, census *wire.Census, options func() *Options) *Server {
	return &Server{listener: listener, census: census, options: options}
}

// Serve accepts from l until Shutdown or Close; it then returns nil.
func (s *Server) Serve(l net.Listener) error { return nil }

// Shutdown drains.
func (s *Server) Shutdown(ctx context.Context) error { return nil }

// Close cuts.
func (s *Server) Close() error { return nil }

package ldapdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// maxIdle is how long a connection may wait for its next use: less than the minutes
// after which servers and firewalls forget one.
const maxIdle = time.Minute

// target is where connections go.
type target struct {
	network, address string
	tls              *tls.Config // nil: in clear
	start            bool        // by StartTLS
}

func parseTarget(o *Options) (target, error) {
	if path, ok := strings.CutPrefix(o.URL, "ldapi://"); ok {
		path, err := url.PathUnescape(strings.TrimSuffix(path, "/"))
		if err != nil || path == "" {
			return target{}, fmt.Errorf("%q is no address of a socket", o.URL)
		}
		return target{network: "unix", address: path}, nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return target{}, fmt.Errorf("%q is not ldap://host, ldaps://host or ldapi://path", o.URL)
	}
	port := u.Port()
	to := target{network: "tcp", start: o.StartTLS}
	switch u.Scheme {
	case "ldaps":
		to.start = false
		if port == "" {
			port = ldap.DefaultLdapsPort
		}
	case "ldap":
		if port == "" {
			port = ldap.DefaultLdapPort
		}
		if !o.StartTLS && !o.Plain && !isLoopback(u.Hostname()) {
			return target{}, errors.New("passwords would go to " + u.Host + " in clear: use ldaps or StartTLS")
		}
	default:
		return target{}, fmt.Errorf("%q is not ldap://host, ldaps://host or ldapi://path", o.URL)
	}
	to.address = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "ldaps" || o.StartTLS {
		to.tls = &tls.Config{}
		if o.TLS != nil {
			to.tls = o.TLS.Clone()
		}
		if to.tls.ServerName == "" {
			to.tls.ServerName = u.Hostname()
		}
		to.tls.MinVersion = max(to.tls.MinVersion, tls.VersionTLS12)
	}
	return to, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// pool keeps connections between uses.
type pool struct {
	to      target
	prepare func(*ldap.Conn) error
	max     int

	mu     sync.Mutex // guards following
	idle   []*conn    // the one used last at the end
	closed bool
}

// conn is a connection with what is under it, to cut it whatever it does.
type conn struct {
	*ldap.Conn
	raw   net.Conn
	since time.Time // when it became idle
}

func newPool(to target, most int, prepare func(*ldap.Conn) error) *pool {
	return &pool{to: to, prepare: prepare, max: most}
}

// use calls f with a connection. One that was kept may have died meanwhile, which
// shows with its next use only: then f is called once more with a new one.
func (p *pool) use(ctx context.Context, f func(*ldap.Conn) error) error {
	for c := p.take(); c != nil; c = p.take() {
		err := p.with(ctx, c, f)
		if err == nil || isReply(err) || ctx.Err() != nil {
			return err
		}
	}
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	return p.with(ctx, c, f)
}

// with uses a connection and keeps it for the next, unless it is in doubt.
func (p *pool) with(ctx context.Context, c *conn, f func(*ldap.Conn) error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	err := f(c.Conn)
	if !stop() {
		c.cut()
		return errors.Join(ctx.Err(), err)
	}
	if err != nil && !isReply(err) {
		c.cut()
		return err
	}
	p.put(c)
	return err
}

// isReply reports an error that the server sent, after which the connection is good.
func isReply(err error) bool {
	var e *ldap.Error
	return errors.As(err, &e) && e.ResultCode < ldap.ErrorNetwork &&
		e.ResultCode != ldap.LDAPResultUnavailable && e.ResultCode != ldap.LDAPResultBusy
}

// take returns the connection that was used last, if one is fit.
func (p *pool) take() *conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if !c.IsClosing() && time.Since(c.since) < maxIdle {
			return c
		}
		c.cut()
	}
}

func (p *pool) put(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < p.max
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.cut()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.cut()
	}
}

// cut ends a connection at once.
func (c *conn) cut() {
	_ = c.raw.Close() // first, so that what follows finds nobody to wait for
	_ = c.Close()
}

// dial opens a connection and makes it ready, within ctx.
func (p *pool) dial(ctx context.Context) (*conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, p.to.network, p.to.address)
	if err != nil {
		return nil, err
	}
	if p.to.tls != nil && !p.to.start {
		secured := tls.Client(raw, p.to.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		raw = secured
	}
	c := &conn{Conn: ldap.NewConn(raw, p.to.tls != nil && !p.to.start), raw: raw}
	c.Start()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	if p.to.start {
		if err = c.StartTLS(p.to.tls); err != nil {
			err = fmt.Errorf("StartTLS: %w", err)
		}
	}
	if err == nil {
		if err = p.prepare(c.Conn); err != nil {
			err = fmt.Errorf("bind of the configured name: %w", err)
		}
	}
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		c.cut()
		return nil, err
	}
	return c, nil
}

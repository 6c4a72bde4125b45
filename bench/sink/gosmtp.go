package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"
)

// serveGoSMTP serves an address with go-smtp. Its code reads the wire and the text;
// what is decided and counted is the same. A session begins at EHLO there, so that
// limits, black holes and resets come after the greeting, and a 421 does not end
// the connection by itself.
func (f *Farm) serveGoSMTP(ctx context.Context, b bind) error {
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return f.goSession(ctx, b.at, c) }))
	s.Domain, s.LMTP, s.ErrorLog = f.server.o.Hostname, f.o.LMTP, silent{}
	s.ReadTimeout, s.WriteTimeout = f.server.o.Idle, f.server.o.Idle
	s.EnableSMTPUTF8, s.EnableDSN = true, true
	s.MaxLineLength = 1 << 16
	if b.at != nil {
		s.MaxMessageBytes = b.at.b.Limits.Size
		if m := b.at.b.TLS; m != TLSNone && m != TLSBroken {
			s.TLSConfig = f.tls.config(m, b.at.name)
		}
	}
	l := &cutListener{b.l, ctx}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	// Connections end with ctx; this waits for their sessions.
	serr := s.Shutdown(context.WithoutCancel(ctx))
	if ctx.Err() != nil {
		if err == nil {
			<-ended // the end of its listener, which is wanted
		}
		return nil
	}
	return errors.Join(err, serr)
}

// silent drops what go-smtp logs: that connections were cut is wanted.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// goSession is a session that go-smtp drives: of session it uses the decisions and
// the counts.
type goSession struct {
	ss  *session
	tos []string // as go-smtp knows the recipients
}

func (f *Farm) goSession(ctx context.Context, at *place, c *smtp.Conn) (smtp.Session, error) {
	n := &f.server.n
	n.connections.Add(1)
	n.open.Add(1)
	g := &goSession{ss: &session{}}
	raw := c.Conn()
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*cutConn); ok {
		raw = t.Conn
	}
	g.ss.reset(f.server, ctx, raw, at)
	_, g.ss.farm.secure = c.TLSConnectionState()
	g.ss.conn = dumb{raw}
	v := g.ss.connect()
	if v.reply == nil && !v.hang && !v.reset {
		hello := g.ss.ask(AtHello, nil, at)
		hello.delay += v.delay
		v = hello
	}
	if err := g.verdict(v); err != nil {
		g.end()
		return nil, err
	}
	return g, nil
}

// dumb keeps a session from writing and closing: go-smtp does both.
type dumb struct{ net.Conn }

func (dumb) Write(p []byte) (int, error) { return len(p), nil }
func (dumb) Close() error                { return nil }

// verdict does what is decided, and returns the reply that is not the usual one.
func (g *goSession) verdict(v verdict) error {
	if g.ss.answer(v, nil) {
		g.ss.out = g.ss.out[:0]
		if v.reply == nil {
			return nil
		}
		return goError(v)
	}
	_ = g.ss.raw.Close() // cut off
	return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.NoEnhancedCode, Message: "cut"}
}

// goError makes a reply one of go-smtp.
func goError(v verdict) error {
	text := strings.TrimSpace(string(v.reply[3:]))
	e := &smtp.SMTPError{Code: v.code, EnhancedCode: smtp.NoEnhancedCode, Message: text}
	first, rest, _ := strings.Cut(text, " ")
	if parts := strings.Split(first, "."); len(parts) == 3 {
		var code smtp.EnhancedCode
		for i, p := range parts {
			n, err := strconv.Atoi(p)
			if err != nil {
				return e
			}
			code[i] = n
		}
		e.EnhancedCode, e.Message = code, rest
	}
	return e
}

// Reset forgets the transaction.
func (g *goSession) Reset() {
	g.ss.clear()
	g.tos = g.tos[:0]
}

// Logout ends the session.
func (g *goSession) Logout() error {
	g.end()
	return nil
}

func (g *goSession) end() {
	g.ss.leave()
	g.ss.farm.entered = nil
	g.ss.s.n.open.Add(-1)
}

// Mail asks for a transaction.
func (g *goSession) Mail(from string, o *smtp.MailOptions) error {
	line := "MAIL FROM:<" + from + ">"
	if o != nil && o.Size > 0 {
		line += " SIZE=" + formatInt(o.Size)
	}
	return g.verdict(g.ss.askMail([]byte(line), []byte(from)))
}

// Rcpt asks for a recipient.
func (g *goSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	address := []byte(to)
	p := g.ss.s.farm.find(domain(address))
	if err := g.verdict(g.ss.askRcpt(p, address)); err != nil {
		return err
	}
	g.tos = append(g.tos, to)
	g.ss.rcpts = append(g.ss.rcpts, recipient{duty: parseDuty(address), place: p})
	g.ss.farm.catch = g.ss.farm.catch || p.reports
	return nil
}

// Data takes a text.
func (g *goSession) Data(r io.Reader) error {
	if err := g.read(r); err != nil {
		return err
	}
	v := g.ss.askEnd(0)
	if v.reply == nil && !v.lost && !v.reset && !v.hang {
		g.ss.count(g.ss.rcpts)
	}
	return g.verdict(v)
}

// LMTPData takes a text for each recipient.
func (g *goSession) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	if err := g.read(r); err != nil {
		return err
	}
	all := g.ss.rcpts
	taken := make([]recipient, 0, len(all))
	errs := make([]error, len(all))
	var cut verdict
	for i := range all {
		switch v := g.ss.askEnd(i); {
		case v.drop || v.reset || v.hang:
			if cut = v; !v.lost && v.drop {
				taken = append(taken, all[i])
			}
		default:
			if errs[i] = g.verdict(v); errs[i] == nil {
				taken = append(taken, all[i])
			}
		}
	}
	if len(taken) > 0 {
		g.ss.count(taken)
	}
	if cut.drop || cut.reset || cut.hang {
		return g.verdict(cut)
	}
	for i := range all {
		status.SetStatus(g.tos[i], errs[i])
	}
	return nil
}

func (g *goSession) read(r io.Reader) error {
	for {
		n, err := r.Read(g.ss.buf)
		g.ss.observe(g.ss.buf[:n])
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

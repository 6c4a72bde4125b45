package maillog

import (
	"net/netip"
	"time"

	"go.uber.org/zap/zapcore"
)

// Login is one login, good or bad. It never holds what the login was made with.
type Login struct {
	Session   uint64
	Client    netip.Addr // the zero value for a unix socket
	Service   string     // "smtp", "pop3" ...
	Mechanism string     // of SASL, or the protocol's own command
	User      string     // who logged in, or whom a failed login named
	TLS       bool       // the connection was encrypted
	Result    string     // "ok", or why it failed
	Cached    bool       // the password was not hashed again
	Took      time.Duration
	Delay     time.Duration // that the answer was held back for
	Err       error         // why it could not be checked
}

// Login writes that a user logged in, or that a login failed.
func (l *Log) Login(a *Login) {
	if l == nil {
		return
	}
	e := l.get()
	e.login = *a
	name := "login_failed"
	if a.Result == "ok" {
		name = "login"
	}
	l.put(name, e, (*event).marshalLogin)
}

func (e *event) marshalLogin(enc zapcore.ObjectEncoder) {
	a := &e.login
	e.addSess(enc, a.Session)
	if a.Client.IsValid() {
		enc.AddByteString("client", a.Client.AppendTo(e.scratch[:0]))
	}
	addText(enc, "service", a.Service)
	addText(enc, "mech", a.Mechanism)
	addText(enc, "user", a.User)
	if !a.TLS {
		enc.AddBool("clear", true)
	}
	if a.Result != "ok" {
		enc.AddString("result", a.Result)
	}
	if a.Cached {
		enc.AddBool("cached", true)
	}
	addDuration(enc, "t_total_ms", a.Took)
	addDuration(enc, "t_delay_ms", a.Delay)
	if a.Err != nil {
		enc.AddString("error", a.Err.Error())
	}
}

package maillog

import (
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"postrider/internal/mail"
)

// Session is the inbound side of an event. Slices are read during the call only.
type Session struct {
	ID       uint64
	Client   netip.AddrPort // the zero value for a unix socket
	Helo     []byte
	Listener string
	Protocol []byte // ESMTP, LMTP ...
	TLS      string // version; empty in clear
	User     []byte
}

// Rejection is a 4xx or 5xx that a client was given.
type Rejection struct {
	Session Session
	Command string // the command that was answered, "connect" for the greeting
	From    []byte // reverse-path, when one was given
	To      []byte // what the client wanted, as it wrote it
	Status  mail.Status
	Rule    string // which rule spoke
}

// event is the pooled memory of one line: zap gets its fields slice, and the one
// field in it marshals the event. That way nothing is allocated for a line.
type event struct {
	fields  []zapcore.Field
	marshal func(*event, zapcore.ObjectEncoder)
	now     time.Time
	scratch []byte

	envelope *mail.Envelope
	attempt  Attempt
	reject   Rejection
	session  Session
	notice   Notice
	login    Login
	change   SiteChange
	took     [2]time.Duration
	counts   [2]int64
	texts    [3]string
}

func newEvent() *event {
	e := &event{scratch: make([]byte, 0, 64)}
	e.fields = []zapcore.Field{zap.Inline(e)}
	return e
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (e *event) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	e.marshal(e, enc)
	return nil
}

func (l *Log) get() *event { return l.events.Get().(*event) }

// put writes e as an event of that name and takes its memory back.
func (l *Log) put(name string, e *event, marshal func(*event, zapcore.ObjectEncoder)) {
	e.marshal = marshal
	if ce := l.zap.Check(zapcore.InfoLevel, name); ce != nil {
		e.now = ce.Time
		ce.Write(e.fields...)
	}
	*e = event{fields: e.fields, scratch: e.scratch}
	l.events.Put(e)
}

// Start writes that the daemon began to serve.
func (l *Log) Start(version string, pid int) {
	if l == nil {
		return
	}
	e := l.get()
	e.texts[0], e.counts[0] = version, int64(pid)
	l.put("start", e, func(e *event, enc zapcore.ObjectEncoder) {
		enc.AddString("version", e.texts[0])
		enc.AddInt64("pid", e.counts[0])
	})
}

// Stop writes that the daemon ends, and why.
func (l *Log) Stop(reason string) {
	if l == nil {
		return
	}
	e := l.get()
	e.texts[0] = reason
	l.put("stop", e, func(e *event, enc zapcore.ObjectEncoder) {
		enc.AddString("reason", e.texts[0])
	})
}

// ConfigLoaded writes that a configuration took effect.
func (l *Log) ConfigLoaded(path string) {
	if l == nil {
		return
	}
	e := l.get()
	e.texts[0] = path
	l.put("config_loaded", e, func(e *event, enc zapcore.ObjectEncoder) {
		enc.AddString("path", e.texts[0])
	})
}

// ConfigRejected writes that a configuration was refused and the old one stays.
func (l *Log) ConfigRejected(path string, err error) {
	if l == nil {
		return
	}
	e := l.get()
	e.texts[0], e.texts[1] = path, err.Error()
	l.put("config_rejected", e, func(e *event, enc zapcore.ObjectEncoder) {
		enc.AddString("path", e.texts[0])
		enc.AddString("error", e.texts[1])
	})
}

// Store writes something about the queue's disk that an operator must know.
// kind is one word such as "stall", "corruption" or "disk"; err may be nil.
func (l *Log) Store(kind string, err error) {
	if l == nil {
		return
	}
	e := l.get()
	e.texts[0] = kind
	if err != nil {
		e.texts[1] = err.Error()
	}
	l.put("store", e, func(e *event, enc zapcore.ObjectEncoder) {
		enc.AddString("kind", e.texts[0])
		addText(enc, "error", e.texts[1])
	})
}

// Panic writes that a session was ended by a defect of ours. value is what it
// panicked with.
func (l *Log) Panic(s *Session, value any, stack []byte) {
	if l == nil {
		return
	}
	e := l.get()
	e.session = *s
	e.texts[0], e.texts[1] = fmt.Sprint(value), string(stack)
	l.put("panic", e, func(e *event, enc zapcore.ObjectEncoder) {
		e.addSession(enc, &e.session)
		enc.AddString("error", e.texts[0])
		enc.AddString("stack", e.texts[1])
	})
}

// SessionOpen writes that a client came, when Options.Sessions asks for it.
func (l *Log) SessionOpen(s *Session) {
	if l == nil || !l.o.Sessions {
		return
	}
	e := l.get()
	e.session = *s
	l.put("session_open", e, func(e *event, enc zapcore.ObjectEncoder) { e.addSession(enc, &e.session) })
}

// SessionClose writes how a session ended: "quit", "lost", "timeout" ..., after
// how many accepted messages and how long.
func (l *Log) SessionClose(s *Session, result string, messages int64, took time.Duration) {
	if l == nil || !l.o.Sessions {
		return
	}
	e := l.get()
	e.session, e.texts[0], e.counts[0], e.took[0] = *s, result, messages, took
	l.put("session_close", e, func(e *event, enc zapcore.ObjectEncoder) {
		e.addSession(enc, &e.session)
		enc.AddString("result", e.texts[0])
		enc.AddInt64("messages", e.counts[0])
		enc.AddDuration("t_total_ms", e.took[0])
	})
}

// Rejected writes a 4xx or 5xx that we gave.
func (l *Log) Rejected(r *Rejection) {
	if l == nil {
		return
	}
	e := l.get()
	e.reject = *r
	l.put("rejected", e, (*event).marshalRejected)
}

func (e *event) marshalRejected(enc zapcore.ObjectEncoder) {
	r := &e.reject
	e.addSession(enc, &r.Session)
	e.addCommand(enc, r.Command)
	if r.From != nil {
		enc.AddByteString("from", r.From)
	}
	if len(r.To) > 0 {
		enc.AddByteString("to", r.To)
	}
	e.addStatus(enc, &r.Status)
	addText(enc, "rule", r.Rule)
}

// Accepted writes that a message is durable and ours; it is called after the
// sync and never before. took is the time from the end of the text to now, sync
// the part of it that the disk took; 0: not known.
func (l *Log) Accepted(env *mail.Envelope, took, sync time.Duration) {
	if l == nil {
		return
	}
	e := l.get()
	e.envelope, e.took = env, [2]time.Duration{took, sync}
	l.put("accepted", e, (*event).marshalAccepted)
}

func (e *event) marshalAccepted(enc zapcore.ObjectEncoder) {
	env := e.envelope
	enc.AddByteString("id", env.ID.AppendText(e.scratch[:0]))
	e.addSess(enc, env.Session)
	enc.AddByteString("from", env.Sender)
	if d := mail.DomainOf(env.Sender); d != nil {
		enc.AddByteString("from_dom", d)
	}
	enc.AddInt64("nrcpt", int64(len(env.Recipients)))
	enc.AddInt64("size", env.SizeBytes)
	if env.Client.IsValid() {
		enc.AddByteString("client", env.Client.AppendTo(e.scratch[:0]))
	}
	addBytes(enc, "helo", env.Helo)
	addBytes(enc, "listener", env.Listener)
	addBytes(enc, "proto", env.Protocol)
	addBytes(enc, "tls", env.TLS)
	addBytes(enc, "user", env.User)
	addDuration(enc, "t_accept_ms", e.took[0])
	addDuration(enc, "t_sync_ms", e.took[1])
}

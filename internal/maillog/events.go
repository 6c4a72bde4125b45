package maillog

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
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

// Attempt is how one recipient of a message fared. The envelope may be nil when
// only the id is known.
type Attempt struct {
	ID        mail.ID // used when Envelope is nil
	Envelope  *mail.Envelope
	Recipient int // index in the envelope
	Number    int // of the attempt, from 1; 0: there was none
	Site      string
	Status    mail.Status
	Command   string // that the status answered; may be empty
	Class     string // ours; may be empty
	Remote    mail.Remote
	Timings   mail.Timings
	Wait      time.Duration // ready in the queue before the attempt
	Next      time.Time     // of the next attempt, for Deferred

	Rule   string // why, when a rule of the configuration did it
	Actor  string // who, when an operator did it
	Reason string // what the operator gave as the reason
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

// Delivered writes that a recipient's next hop has taken the message: the end of
// that recipient.
func (l *Log) Delivered(a *Attempt) { l.attempt("delivered", a) }

// Deferred writes that an attempt failed and another one follows.
func (l *Log) Deferred(a *Attempt) { l.attempt("deferred", a) }

// Failed writes that a recipient is given up, by its server or because its time
// is over. It is not the end: the recipient stays in the queue as failed until
// its sender has been told, and that writes the terminal event.
func (l *Log) Failed(a *Attempt) { l.attempt("failed", a) }

// Held writes that a recipient waits for an operator.
func (l *Log) Held(a *Attempt) { l.attempt("held", a) }

// Quarantined writes that a recipient's message cannot be read whole and was set
// aside.
func (l *Log) Quarantined(a *Attempt) { l.attempt("quarantined", a) }

// Dropped writes that a recipient ends without delivery because a rule or an
// operator said so: the end of that recipient.
func (l *Log) Dropped(a *Attempt) { l.attempt("dropped", a) }

func (l *Log) attempt(name string, a *Attempt) {
	if l == nil {
		return
	}
	e := l.get()
	e.attempt = *a
	l.put(name, e, (*event).marshalAttempt)
}

func (e *event) marshalAttempt(enc zapcore.ObjectEncoder) {
	a := &e.attempt
	id := a.ID
	if a.Envelope != nil {
		id = a.Envelope.ID
	}
	enc.AddByteString("id", id.AppendText(e.scratch[:0]))
	enc.AddInt64("rid", int64(a.Recipient)+1)
	if env := a.Envelope; env != nil {
		enc.AddByteString("from", env.Sender)
		if a.Recipient < len(env.Recipients) {
			to := env.Recipients[a.Recipient].Address
			enc.AddByteString("to", to)
			addBytes(enc, "to_dom", mail.DomainOf(to))
		}
	}
	addText(enc, "site", a.Site)
	e.addRemote(enc, &a.Remote)
	e.addStatus(enc, &a.Status)
	e.addCommand(enc, a.Command)
	addText(enc, "class", a.Class)
	if a.Number > 0 {
		enc.AddInt64("attempt", int64(a.Number))
	}
	if !a.Next.IsZero() {
		enc.AddTime("next", a.Next)
	}
	addText(enc, "rule", a.Rule)
	addText(enc, "actor", a.Actor)
	addText(enc, "reason", a.Reason)
	if env := a.Envelope; env != nil {
		enc.AddInt64("size", env.SizeBytes)
		enc.AddDuration("age_ms", max(0, e.now.Sub(time.UnixMicro(env.ArrivedMicro))))
	}
	addDuration(enc, "t_wait_ms", a.Wait)
	addDuration(enc, "t_dns_ms", a.Timings.DNS)
	addDuration(enc, "t_conn_ms", a.Timings.Connect)
	addDuration(enc, "t_tls_ms", a.Timings.TLS)
	addDuration(enc, "t_smtp_ms", a.Timings.SMTP)
	addDuration(enc, "t_data_ms", a.Timings.Data)
}

func (e *event) addSession(enc zapcore.ObjectEncoder, s *Session) {
	e.addSess(enc, s.ID)
	if s.Client.IsValid() {
		enc.AddByteString("client", s.Client.Addr().AppendTo(e.scratch[:0]))
	}
	addBytes(enc, "helo", s.Helo)
	addText(enc, "listener", s.Listener)
	addBytes(enc, "proto", s.Protocol)
	addText(enc, "tls", s.TLS)
	addBytes(enc, "user", s.User)
}

func (e *event) addRemote(enc zapcore.ObjectEncoder, r *mail.Remote) {
	addText(enc, "mx", host(r.Host))
	if r.Addr.IsValid() {
		enc.AddByteString("ip", r.Addr.Addr().AppendTo(e.scratch[:0]))
	}
	addText(enc, "tls", r.TLS)
	e.addSess(enc, r.Session)
	if r.Reused {
		enc.AddBool("reused", true)
	}
}

func (e *event) addStatus(enc zapcore.ObjectEncoder, s *mail.Status) {
	if s.IsZero() {
		return
	}
	enc.AddInt64("code", int64(s.Code))
	if s.Enhanced.Class != 0 {
		enc.AddByteString("enh", s.Enhanced.AppendText(e.scratch[:0]))
	}
	addBytes(enc, "reply", s.Text)
}

func (e *event) addSess(enc zapcore.ObjectEncoder, id uint64) {
	if id != 0 {
		enc.AddByteString("sess", strconv.AppendUint(e.scratch[:0], id, 16))
	}
}

// addCommand writes a command in lower case, as all words of ours are.
func (e *event) addCommand(enc zapcore.ObjectEncoder, command string) {
	if command == "" {
		return
	}
	low := e.scratch[:0]
	for i := range min(len(command), 32) {
		c := command[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low = append(low, c)
	}
	enc.AddByteString("cmd", low)
}

// host takes the port off what was dialled; the path of a socket has none.
func host(dialled string) string {
	if strings.HasPrefix(dialled, "/") {
		return dialled
	}
	if i := strings.LastIndexByte(dialled, ':'); i >= 0 {
		dialled = dialled[:i]
	}
	return strings.Trim(dialled, "[]")
}

// A member without a value is left out.

func addText(enc zapcore.ObjectEncoder, key, v string) {
	if v != "" {
		enc.AddString(key, v)
	}
}

func addBytes(enc zapcore.ObjectEncoder, key string, v []byte) {
	if len(v) > 0 {
		enc.AddByteString(key, v)
	}
}

func addDuration(enc zapcore.ObjectEncoder, key string, d time.Duration) {
	if d > 0 {
		enc.AddDuration(key, d)
	}
}

package maillog

import (
	"time"

	"go.uber.org/zap/zapcore"

	"postrider/internal/mail"
)

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
	Class     mail.Class
	Remote    mail.Remote
	Timings   mail.Timings
	Wait      time.Duration // ready in the queue before the attempt
	Next      time.Time     // of the next attempt, for Deferred
	Flow      string        // whose mail it is, for fairness; may be empty
	Gate      string        // what held it last before the attempt; may be empty
	Notice    mail.ID       // the message that tells the sender, for Bounced, Expired and Delayed; zero: none is owed

	Rule   string // why, when a rule of the configuration did it
	Actor  string // who, when an operator did it
	Reason string // what the operator gave as the reason
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

// Bounced writes that the sender has been told of a recipient that its server
// refused, or that nobody is owed a notice of it: the end of that recipient. It
// is called when that is durable.
func (l *Log) Bounced(a *Attempt) { l.attempt("bounced", a) }

// Expired is Bounced for a recipient whose time was over.
func (l *Log) Expired(a *Attempt) { l.attempt("expired", a) }

// Delayed writes that the sender has been told, or is owed no notice, that a
// recipient still waits.
func (l *Log) Delayed(a *Attempt) { l.attempt("delayed", a) }

// Held writes that a recipient waits for an operator.
func (l *Log) Held(a *Attempt) { l.attempt("held", a) }

// Released writes that an operator lets a recipient go on that was held or
// quarantined.
func (l *Log) Released(a *Attempt) { l.attempt("released", a) }

// Retried writes that an operator lets a recipient be attempted now that waited for
// its due time or for DNS.
func (l *Log) Retried(a *Attempt) { l.attempt("retried", a) }

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
	addText(enc, "class", a.Class.String())
	if a.Number > 0 {
		enc.AddInt64("attempt", int64(a.Number))
	}
	if !a.Next.IsZero() {
		enc.AddTime("next", a.Next)
	}
	if !a.Notice.IsZero() {
		enc.AddByteString("dsn", a.Notice.AppendText(e.scratch[:0]))
	}
	addText(enc, "flow", a.Flow)
	addText(enc, "rule", a.Rule)
	addText(enc, "actor", a.Actor)
	addText(enc, "reason", a.Reason)
	if env := a.Envelope; env != nil {
		enc.AddInt64("size", env.SizeBytes)
		enc.AddDuration("age_ms", max(0, e.now.Sub(time.UnixMicro(env.ArrivedMicro))))
	}
	addText(enc, "gate", a.Gate)
	addDuration(enc, "t_wait_ms", a.Wait)
	addDuration(enc, "t_dns_ms", a.Timings.DNS)
	addDuration(enc, "t_conn_ms", a.Timings.Connect)
	addDuration(enc, "t_tls_ms", a.Timings.TLS)
	addDuration(enc, "t_smtp_ms", a.Timings.SMTP)
	addDuration(enc, "t_data_ms", a.Timings.Data)
}

func (e *event) addRemote(enc zapcore.ObjectEncoder, r *mail.Remote) {
	addText(enc, "mx", host(r.Host))
	if r.Addr.IsValid() {
		enc.AddByteString("ip", r.Addr.Addr().AppendTo(e.scratch[:0]))
	}
	addText(enc, "source", r.Source)
	addText(enc, "tls", r.TLS)
	addText(enc, "tls_cipher", r.Cipher)
	addText(enc, "tls_policy", r.TLSPolicy)
	addText(enc, "tls_verdict", r.TLSVerdict)
	e.addSess(enc, r.Session)
	if r.Reused {
		enc.AddBool("reused", true)
	}
}

package relay

import (
	"errors"

	"postrider/internal/mail"
	"postrider/internal/message"
	"postrider/queue"
	"postrider/relay/resolve"
	"postrider/relay/smtp"
	"postrider/relay/smtpd"
)

// What intake answers. The texts say what the client can do about it and
// nothing of our insides.
var (
	statusQueueFull   = mail.NewStatus(452, 4, 3, 1, "insufficient system storage, try again later")
	statusNotStored   = mail.NewStatus(451, 4, 3, 0, "the message could not be stored, try again later")
	statusStopping    = mail.NewStatus(421, 4, 3, 2, "system is shutting down, try again later")
	statusTooMany     = mail.NewStatus(452, 4, 5, 3, "too many recipients")
	statusNoRouteYet  = mail.NewStatus(451, 4, 3, 5, "no delivery to this domain is set up here")
	statusRouteReject = mail.NewStatus(550, 5, 7, 1, "mail to this domain is not accepted here")
)

// Handler returns what a receiving server asks about its sessions. With
// localOnly (an LMTP listener) only the local domains are taken, from anyone.
func (e *Engine) Handler(localOnly bool) smtpd.Handler {
	return &intake{e: e, localOnly: localOnly}
}

// maxRecipients bounds what a message's recipients may come to when aliases are
// expanded. It is below what an addressSet can number.
const maxRecipients = 65000

type intake struct {
	e          *Engine
	localOnly  bool
	submission bool
}

// Connect implements smtpd.Handler.
func (in *intake) Connect(c *smtpd.Conn) (smtpd.Session, mail.Status) {
	if in.e.pull.Err() != nil {
		return nil, statusStopping
	}
	return &session{e: in.e, c: c, localOnly: in.localOnly, submission: in.submission}, mail.Status{}
}

// session receives messages on one connection into drafts of the queue.
type session struct {
	e          *Engine
	c          *smtpd.Conn
	localOnly  bool
	submission bool

	rules *Rules // of the running transaction: a reload takes effect at the next MAIL
	draft *queue.Draft
	seen  addressSet
	text  []byte // scratch for addresses and replies

	answer   resolve.Answer // scratch of Rcpt
	trace    resolve.Trace  // aliases of the transaction
	named    int            // RCPT commands that were accepted
	only     []byte         // the first of them, as it was named
	direct   *direct        // made by the first MAIL: an idle session does without
	author   author
	expanded *mail.Envelope // aliases whose sender is owed a notice of their expansion; nil: none
}

// Mail implements smtpd.Session: a draft is opened here, so that a full disk is
// answered before the client sends anything (RFC 1870 section 6.1).
func (s *session) Mail(from mail.Address, p *smtp.MailParams) mail.Status {
	s.rules = s.e.rules.Load()
	if st := s.checkSender(from); !st.IsZero() {
		return st
	}
	d, err := s.e.queue.NewDraft(max(p.Size, 0))
	if err != nil {
		return refusal(err)
	}
	s.draft = d
	s.seen.reset()
	s.trace.Reset()
	s.named, s.expanded = 0, nil
	if s.direct == nil {
		s.direct = new(direct)
	}
	s.direct.reset(max(p.Size, 0))
	env := d.Envelope()
	s.text = from.AppendText(s.text[:0])
	env.Sender = env.Keep(s.text)
	env.EightBit = p.Body == smtp.Body8BitMIME
	env.SMTPUTF8 = p.SMTPUTF8
	env.Return = p.Return
	env.EnvelopeID = env.Keep(p.EnvelopeID)
	env.Client = s.c.Remote.Addr()
	env.Helo = env.Keep(s.c.Helo)
	env.Session = s.c.ID
	env.Listener = env.KeepString(s.c.Listener)
	env.Protocol = env.Keep(s.c.Protocol())
	env.TLS = env.KeepString(s.c.TLSVersion())
	if s.c.User != nil {
		env.User = env.KeepString(s.c.User.Name)
	}
	env.Foreign = s.c.User == nil && !s.localOnly && env.Client.IsValid() && !s.rules.Access.Trusted(env.Client)
	return mail.Status{}
}

// Rcpt implements smtpd.Session. A recipient that was named before is accepted
// again and gets the message once (HS8); one that is an alias is replaced by what
// it stands for.
func (s *session) Rcpt(to mail.Address, p *smtp.RcptParams) mail.Status {
	env := s.draft.Envelope()
	q := resolve.Request{Env: env, LocalOnly: s.localOnly, To: to, Notify: p.Notify, Original: p.Original, SizeBytes: s.direct.announced}
	st := s.rules.Resolve.Recipient(s.e.work, &q, &s.answer)
	if s.answer.Cycle != "" && s.e.o.Observe != nil {
		s.e.o.Observe.AliasCycle(s.answer.Cycle)
	}
	if !st.IsZero() {
		return st
	}
	if len(env.Recipients)+len(s.answer.Recipients) > maxRecipients {
		return statusTooMany
	}
	if s.named++; s.named == 1 {
		s.only = to.AppendText(s.only[:0])
	}
	for i := range s.answer.Recipients {
		r := &s.answer.Recipients[i]
		if s.seen.add(env.Recipients, r.Address) {
			env.AddRecipient(r.Address, r.Notify, r.Original)
			env.Recipients[len(env.Recipients)-1].Forwarded = r.Forwarded
		}
	}
	if s.localOnly {
		s.direct.name(env, s.answer.Recipients)
	}
	if s.answer.Aliased {
		s.text = to.AppendText(s.text[:0])
		s.trace.Add(s.text)
		s.noteExpansion(p)
	}
	return mail.Status{}
}

// DeliveredTo finds a message that another system and ours forward to each other.
func (s *session) DeliveredTo(value []byte) mail.Status { return s.trace.DeliveredTo(value) }

// Data implements smtpd.Session: our trace line comes first (RFC 5321 section
// 4.4).
func (s *session) Data() mail.Status {
	env := s.draft.Envelope()
	r := message.Received{
		Helo: s.c.Helo, Client: env.Client, By: s.e.o.Hostname, Protocol: string(s.c.Protocol()),
		TLS: s.c.TLSVersion(), ID: env.ID, Time: s.e.o.Clock(),
		Hidden: s.c.User != nil && s.rules.Submission.HideClient,
	}
	if s.named == 1 { // naming one of several would tell the others of a blind copy
		r.For = s.only
	}
	s.text = s.trace.AppendField(s.text[:0], s.named)
	s.text = message.AppendReceived(s.text, &r)
	s.beginHeader(env)
	return s.put(s.text)
}

// Write implements smtpd.Session.
func (s *session) Write(p []byte) mail.Status {
	if s.author.at {
		return s.author.header.Write(p, s.author.out)
	}
	return s.put(p)
}

// put adds to the text as it will be kept.
func (s *session) put(p []byte) mail.Status {
	if _, err := s.draft.Write(p); err != nil {
		return refusal(err)
	}
	return mail.Status{}
}

// Commit implements smtpd.Session: it returns once the message is on the disk,
// and only then is there an id to promise.
func (s *session) Commit() mail.Status {
	if st := s.finishHeader(); !st.IsZero() {
		s.Reset()
		return st
	}
	d, start := s.draft, s.e.o.Clock()
	s.draft = nil
	env := d.Envelope()
	env.SizeBytes = d.Size()
	env.RequireTLS, env.TLSWaived = s.c.RequireTLS, s.c.TLSWaived
	id := env.ID
	if st, ok := s.commitDirect(d); ok {
		s.e.o.Metrics.AcceptSeconds(s.e.o.Clock().Sub(start))
		d.Abort() // the queue never hears of it
		return st
	}
	s.takeExpansions(env)
	// The queue calls Engine.durable between the sync and the first lease, so
	// the log line of the acceptance stands before those of its deliveries.
	if err := d.CommitBy(s.e.work, s.c.AcceptDeadline()); err != nil {
		return refusal(err)
	}
	s.e.o.Metrics.AcceptSeconds(s.e.o.Clock().Sub(start))
	s.tellExpansions()
	s.text = append(s.text[:0], "queued as "...)
	s.text = id.AppendText(s.text)
	return mail.Status{Code: 250, Enhanced: mail.Enhanced{Class: 2}, Text: s.text}
}

// Reset implements smtpd.Session.
func (s *session) Reset() {
	if s.draft != nil {
		s.draft.Abort()
		s.draft = nil
	}
}

// Close implements smtpd.Session.
func (s *session) Close() {
	s.Reset()
	if s.direct != nil {
		s.direct.patience.close()
	}
}

// refusal maps what the queue says to what the client hears: overload and
// trouble of ours are temporary, always (G6).
func refusal(err error) mail.Status {
	switch {
	case errors.Is(err, queue.ErrFull):
		return statusQueueFull
	case errors.Is(err, queue.ErrClosed):
		return statusStopping
	}
	return statusNotStored
}

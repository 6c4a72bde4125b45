package relay

import (
	"bytes"
	"context"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/resolve"
)

// direct is what a session needs for mail that goes straight into mailboxes.
//
// A message whose recipients are all local, of which nobody is owed a notice of
// success and whose text is in memory, is filed when its text ends: one record of the
// mailboxes, one sync, and no write of the queue. When that fails, or is not done in
// time, the message goes to the queue by the id that it has, and what was filed
// nevertheless is known again there by that id.
type direct struct {
	announced int64 // size of the message as the client gave it; 0: it did not
	delivery  mail.Delivery
	event     maillog.Attempt
	patience  patience
	flow      string
	filed     bool  // delivery has the outcomes of the last message
	indexes   []int // by LMTP: which recipient each RCPT that was accepted stands for
	several   bool  // one of them stands for several
}

// directPatience is how long the mailboxes may take at most before the queue is asked.
const directPatience = 30 * time.Second

// statusFiled is the outcome of a recipient that has the message in its mailbox.
var statusFiled = mail.NewStatus(250, 2, 1, 5, "delivered")

func (x *direct) reset(announced int64) {
	x.announced, x.indexes, x.several, x.filed = announced, x.indexes[:0], false, false
}

// name notes what a RCPT by LMTP stands for: the recipients that were just added, or
// were there.
func (x *direct) name(env *mail.Envelope, named []resolve.Recipient) {
	if len(named) != 1 {
		x.several = true
		return
	}
	last := len(env.Recipients) - 1
	for i := last; i >= 0; i-- {
		if bytes.Equal(env.Recipients[i].Address, named[0].Address) {
			x.indexes = append(x.indexes, i)
			return
		}
	}
}

// RecipientStatus implements smtpd.RecipientStatuser: of a message that went straight
// into mailboxes each recipient has an outcome of its own, and the queue takes a
// message for all of them.
func (s *session) RecipientStatus(i int) mail.Status {
	x := s.direct
	if !x.filed || i >= len(x.indexes) {
		return mail.Status{}
	}
	if st := x.delivery.Outcomes[x.indexes[i]]; !st.OK() {
		return st
	}
	return mail.Status{}
}

// goesDirect returns the text of a message that may be filed without the queue; nil
// for any other.
func (s *session) goesDirect(d *queue.Draft) mail.Body {
	e, env := s.e, d.Envelope()
	if e.o.Local == nil || s.rules.NoDirect || s.expanded != nil || len(env.Recipients) == 0 {
		return nil
	}
	var selector [256]byte
	text := s.rules.Routes.AppendSelector(selector[:0], env)
	var domain []byte
	for i := range env.Recipients {
		r := &env.Recipients[i]
		if r.Notify&mail.NotifySuccess != 0 {
			return nil
		}
		of := mail.DomainOf(r.Address)
		if i > 0 && bytes.Equal(of, domain) {
			continue
		}
		domain = of
		if len(domain) == 0 || s.rules.Routes.Lookup(domain, text).Hop.Kind != mail.HopLocal {
			return nil
		}
	}
	return d.Text()
}

// commitDirect files the message of a draft without the queue and returns the reply;
// false: the queue is to take it.
func (s *session) commitDirect(draft *queue.Draft) (mail.Status, bool) {
	text := s.goesDirect(draft)
	if text == nil {
		return mail.Status{}, false
	}
	e, env, x := s.e, draft.Envelope(), s.direct
	d := &x.delivery
	d.Prepare(len(env.Recipients))
	d.Envelope, d.Body, d.Sender = env, text, env.Sender
	for i := range env.Recipients {
		d.Recipients = append(d.Recipients, i)
	}
	began := time.Now()
	wait := directPatience
	if by := s.c.AcceptDeadline(); !by.IsZero() {
		wait = min(wait, by.Sub(began)/2) // the queue needs its time, too
	}
	whole := len(env.Recipients) > 1 && (!s.localOnly || x.several)
	ctx := x.patience.begin(e.work, wait)
	filed := e.o.Local.Direct(ctx, d, whole)
	x.patience.end()
	d.Body = nil
	if !filed {
		e.agents.keyed(env.ID) // what came of it is not known
		return mail.Status{}, false
	}
	x.filed = true
	return s.tellDirect(env, time.Since(began)), true
}

// tellDirect writes the events of a message that was filed, counts it, and returns the
// reply. Recipients that it was not filed for are refused, and no longer ours.
func (s *session) tellDirect(env *mail.Envelope, took time.Duration) mail.Status {
	e, x := s.e, s.direct
	refused, n := mail.Status{}, 0
	for i, st := range x.delivery.Outcomes {
		if !st.OK() {
			refused = st
			continue
		}
		env.Recipients[n] = env.Recipients[i]
		n++
	}
	env.Recipients = env.Recipients[:n]
	if n == 0 {
		e.agents.filed(env.ID)
		return refused
	}
	e.ledger.accept(n)
	e.o.Metrics.AcceptedRecipients(n)
	e.o.Log.Accepted(env, max(0, e.age(env)), took)
	if flow := flowOf(env); x.flow != string(flow) {
		x.flow = string(flow)
	}
	for i := range env.Recipients {
		x.event = maillog.Attempt{Envelope: env, Recipient: i, Number: 1, Site: laneLocal, Status: statusFiled, Flow: x.flow}
		e.o.Log.Delivered(&x.event)
	}
	x.event = maillog.Attempt{}
	e.ledger.end(n)
	e.agents.site.Attempts(metrics.ResultOK, n)
	e.o.Metrics.Final(metrics.FinalDelivered, n)
	e.countTimes(&x.delivery, 0, took)
	e.agents.filed(env.ID)
	s.text = append(s.text[:0], "queued as "...) // the words that scripts find an id by, whichever way a message went
	s.text = env.ID.AppendText(s.text)
	return mail.Status{Code: 250, Enhanced: mail.Enhanced{Class: 2}, Text: s.text}
}

// patience is a context that a session uses again and again, for want of a cheap one
// with a deadline.
type patience struct {
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer
}

// begin returns a context that ends after d, or with parent, and must be followed by
// end.
func (p *patience) begin(parent context.Context, d time.Duration) context.Context {
	if p.ctx != nil {
		p.timer.Reset(d)
		return p.ctx
	}
	p.ctx, p.cancel = context.WithCancel(parent)
	p.timer = time.AfterFunc(d, p.cancel)
	return p.ctx
}

func (p *patience) end() {
	if !p.timer.Stop() {
		p.close()
	}
}

// close gives up what p holds.
func (p *patience) close() {
	if p.ctx != nil {
		p.cancel()
		p.ctx = nil
	}
}

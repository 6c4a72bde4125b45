// Package resolve says what an address at RCPT stands for: whether the client may
// write to it at all, whom the aliases put in its place, whose bounce it is when
// it was rewritten by us, and whether mail goes there.
//
// Everything is found out while the client waits, so that an address which does
// not exist is refused there and no bounce for it is ever owed: a bounce for mail
// from a forged sender hits somebody who never wrote.
//
// # Guarantees
//
// An address that is accepted has at least one recipient, and each of them is one
// that mail can go to by the rules in force: where one target of an alias is not,
// the whole is refused rather than shortened. Aliases and return addresses widen
// what a stranger may write to by exactly the targets in the file and by what one
// of our secrets has signed.
//
// # Concurrency
//
// Rules are immutable but for the file of aliases, which takes care of itself. An
// Answer and a Trace belong to one session.
package resolve

import (
	"bytes"
	"context"
	"errors"
	"time"

	"postrider/internal/mail"
	"postrider/relay/aliases"
	"postrider/relay/policy"
	"postrider/relay/route"
	"postrider/relay/srs"
)

// What a refused recipient is told.
var (
	statusNoUser  = mail.NewStatus(550, 5, 1, 1, "no such user here")
	statusNoRoute = mail.NewStatus(451, 4, 3, 5, "no delivery to this domain is set up here")
	statusReject  = mail.NewStatus(550, 5, 7, 1, "mail to this domain is not accepted here")
)

// Rules are what an address is judged by.
type Rules struct {
	Access     *policy.Rules // must be set
	Routes     *route.Table  // must be set
	Aliases    *aliases.File // nil: none
	SRS        *srs.Rewriter // nil: senders are not rewritten
	Postmaster []byte        // address that a bare <postmaster> stands for; empty: such mail is held
	// Mailboxes knows the recipients of HopLocal, which are delivered here; nil: those
	// of local domains exist only as aliases.
	Mailboxes Mailboxes
	// NoMX says that nothing here resolves names, so that only hops that are named
	// can be reached.
	NoMX bool
}

// Request is one RCPT.
type Request struct {
	Env       *mail.Envelope // its sender, user and client are set
	LocalOnly bool           // only local domains are taken, from anyone (LMTP)
	To        mail.Address   // as smtp.ParseRcpt gives it: without a domain it is the bare postmaster
	Notify    mail.Notify
	Original  []byte // ORCPT
	SizeBytes int64  // of the message, as announced; 0: unknown
}

// Recipient is one that takes the place of what was named.
type Recipient struct {
	aliases.Recipient
	// Forwarded says that the mail goes on to elsewhere for somebody here, so that
	// its sender is rewritten (Rules.Sender).
	Forwarded bool
}

// Answer is what an address stands for. Its slices are valid until it is used
// again.
type Answer struct {
	Recipients []Recipient
	Aliased    bool   // it is an alias: a Trace should know of it
	Expanded   bool   // the sender is owed a notice of the expansion (aliases.Expansion)
	Cycle      string // an address at which the aliases go round in a circle, for the log

	x        aliases.Expansion
	text     []byte
	selector []byte
	users    users
	unsure   bool // whether there is such a mailbox, or room in it, cannot be told now
}

// maxReversals bounds the forwarders of ours that one return address goes through.
const maxReversals = 3

// Recipient fills a for one RCPT. A non-zero Status refuses it. An address that is
// neither alias nor return address costs no allocation. ctx ends what Mailboxes is
// asked.
func (r *Rules) Recipient(ctx context.Context, q *Request, a *Answer) mail.Status {
	*a = Answer{
		Recipients: a.Recipients[:0], x: a.x, text: a.text[:0], selector: r.Routes.AppendSelector(a.selector[:0], q.Env),
		users: users{ctx: ctx, r: r, a: a, text: a.users.text},
	}
	if a.x.Users = nil; r.Mailboxes != nil {
		a.x.Users = &a.users
	}
	to := q.To
	switch {
	case len(to.Domain) == 0: // RFC 5321 section 4.5.1
		return r.postmaster(q, a)
	case q.LocalOnly || r.SRS == nil || !bytes.Equal(to.Domain, r.SRS.Domain()):
	case r.SRS.Is(to):
		return r.reverse(q, a)
	case isPostmaster(to):
		return r.postmaster(q, a)
	}
	if s := r.Access.Recipient(q.Env.Client, len(q.Env.User) > 0, q.LocalOnly, to); !s.IsZero() {
		return s
	}
	s := r.resolve(q, to, false, a)
	if !s.IsZero() && !a.unsure && isPostmaster(to) && r.Access.Local(to.Domain) { // every domain has one (RFC 5321 section 4.5.1)
		return r.postmaster(q, a)
	}
	return s
}

// reverse turns a return address of ours back.
func (r *Rules) reverse(q *Request, a *Answer) mail.Status {
	to := q.To
	for range maxReversals {
		back, err := r.SRS.Reverse(nil, to)
		if err != nil {
			return srs.Refusal(err)
		}
		if to, err = mail.ParseAddress(back, true); err != nil {
			return srs.Refusal(err)
		}
		if !r.SRS.Is(to) {
			return r.resolve(q, to, true, a)
		}
	}
	return srs.Refusal(errors.New("too many forwarders"))
}

// resolve expands aliases and looks where mail goes. With returned the address is
// what a return address of ours stands for.
func (r *Rules) resolve(q *Request, to mail.Address, returned bool, a *Answer) mail.Status {
	a.text = to.AppendText(a.text[:0])
	this := aliases.Recipient{Address: a.text, Notify: q.Notify, Original: q.Original}
	table := r.Aliases.Table()
	found, s := table.Expand(to, this, &a.x)
	switch {
	case !s.IsZero():
		a.Cycle = a.x.Cycle
		return s
	case found:
		return r.expanded(q, a)
	}
	if s := r.routed(a, a.text, to.Domain, q.SizeBytes); !s.IsZero() {
		if s.Temporary() && !a.unsure && table.Has(to.Domain) && r.Access.Local(to.Domain) {
			return statusNoUser
		}
		return s
	}
	a.Recipients = append(a.Recipients, Recipient{Recipient: this, Forwarded: returned && r.foreign(to.Domain)})
	return mail.Status{}
}

// expanded takes what the aliases say. Whether there is room in the mailboxes that they
// name is seen at delivery: one that is full must not keep mail from the others.
func (r *Rules) expanded(q *Request, a *Answer) mail.Status {
	a.Aliased, a.Expanded, a.Cycle = true, a.x.Expanded, a.x.Cycle
	for _, x := range a.x.Recipients {
		domain := mail.DomainOf(x.Address)
		if s := r.routed(a, x.Address, domain, -1); !s.IsZero() {
			a.Recipients, a.Aliased, a.Expanded = a.Recipients[:0], false, false
			return s
		}
		a.Recipients = append(a.Recipients, Recipient{Recipient: x, Forwarded: r.foreign(domain)})
	}
	return mail.Status{}
}

// foreign reports a domain whose servers ask where mail comes from.
func (r *Rules) foreign(domain []byte) bool { return !r.Access.Local(domain) }

// routed says what stands against mail to an address of a domain.
func (r *Rules) routed(a *Answer, address, domain []byte, announcedBytes int64) mail.Status {
	switch r.Routes.Lookup(domain, a.selector).Hop.Kind {
	case mail.HopNone:
		return statusNoRoute
	case mail.HopMX:
		if r.NoMX {
			return statusNoRoute
		}
	case mail.HopReject:
		return statusReject
	case mail.HopLocal:
		if r.Mailboxes == nil {
			return statusNoRoute
		}
		return r.asks(a.users.ctx, address, announcedBytes, a)
	}
	return mail.Status{}
}

// postmaster takes mail for whoever runs this system, from anyone. Where nobody is
// named, or mail to him goes nowhere, it is held: no domain means the hold lane.
func (r *Rules) postmaster(q *Request, a *Answer) mail.Status {
	if to, err := mail.ParseAddress(bytes.Clone(r.Postmaster), true); err == nil {
		if s := r.resolve(q, to, false, a); s.IsZero() || a.unsure {
			return s
		}
	}
	a.text = append(a.text[:0], "postmaster"...)
	a.Aliased, a.Expanded, a.Cycle = false, false, ""
	a.Recipients = append(a.Recipients[:0], Recipient{Recipient: aliases.Recipient{Address: a.text, Notify: q.Notify, Original: q.Original}})
	return mail.Status{}
}

func isPostmaster(a mail.Address) bool { return bytes.EqualFold(a.Local, []byte("postmaster")) }

// Sender appends the sender to give to mail that is Forwarded and arrived at the
// moment given: rewritten, unless
// it is ours or none. An error says why it stays as it is; mail goes on with it,
// and a receiver that checks SPF may not like it.
func (r *Rules) Sender(dst, sender []byte, arrived time.Time) ([]byte, error) {
	if r.SRS == nil || len(sender) == 0 || !r.foreign(mail.DomainOf(sender)) {
		return append(dst, sender...), nil
	}
	out, err := r.SRS.Forward(dst, sender, arrived)
	if err != nil {
		return append(dst, sender...), err
	}
	return out, nil
}

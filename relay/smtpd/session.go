package smtpd

import (
	"crypto/tls"
	"net/netip"
	"time"

	"postrider/internal/auth"
	"postrider/internal/mail"
	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// Handler opens sessions. It is called by many goroutines at once.
type Handler interface {
	// Connect is asked before the greeting. A non-zero Status is sent in the
	// greeting's place, the connection closed and no Session used.
	Connect(c *Conn) (Session, mail.Status)
}

// Session is the other side of one connection: policy and storage. Its methods
// are called by one goroutine. A non-zero Status is the reply that the client
// gets in the place of the usual one; its Text must stay valid until the next
// call. Arguments are valid until the method returns.
type Session interface {
	// Mail opens a transaction when it returns zero or 2xx. from is null for a bounce.
	Mail(from mail.Address, p *smtp.MailParams) mail.Status
	// Rcpt adds a recipient when it returns zero or 2xx. Only Postmaster may
	// come without a domain.
	Rcpt(to mail.Address, p *smtp.RcptParams) mail.Status
	// Data says that a text begins; at least one recipient was accepted. When it
	// refuses, the transaction stays open as it was.
	Data() mail.Status
	// Write takes the text as it arrives: CRLF lines without dot-stuffing, cut
	// anywhere. After a non-zero Status the rest of the text is read and dropped,
	// and that Status is the reply.
	Write(p []byte) mail.Status
	// Commit says that the whole text was written. Its Status is the reply and
	// ends the transaction; zero counts as 250 2.0.0.
	Commit() mail.Status
	// Reset says that an open transaction is over without a Commit: RSET, EHLO,
	// a lost peer, a refused text, a drain.
	Reset()
	// Close says that the connection is gone. An open transaction was Reset.
	Close()
}

// RecipientStatuser is implemented by an LMTP session whose recipients end
// differently: after Commit it is asked for each accepted recipient in order. The
// Text is valid until the next call.
type RecipientStatuser interface {
	RecipientStatus(i int) mail.Status
}

// Conn holds the facts of one connection. It is read-only to the Session and
// belongs to the session's goroutine.
type Conn struct {
	ID       uint64         // number of the session, never used twice by a server's process
	Remote   netip.AddrPort // zero for a unix socket
	Local    netip.AddrPort // zero for a unix socket
	Listener string         // as configured
	Helo     []byte         // argument of the last EHLO, HELO or LHLO; valid until the next one
	ESMTP    bool           // EHLO or LHLO was given
	TLS      *tls.ConnectionState
	User     *auth.User  // who logged in; nil: nobody
	Ended    wire.Reason // why the session ended; set when Session.Close is called

	// Of the open transaction: the sender asks for TLS on all of the way (RFC 8689
	// section 4.2.1), known from Session.Mail on; or he does without rather than
	// have it late ("TLS-Required: No", section 5), known when Session.Commit is
	// called. The first makes the second void.
	RequireTLS, TLSWaived bool

	lmtp     bool
	smtputf8 bool
	deadline time.Time
}

// Protocol returns the keyword for the "with" of a Received field (RFC 3848, RFC
// 6531 section 4.3): "SMTP", "ESMTP", "ESMTPS", "LMTP", "UTF8SMTPS" and so on,
// for the transaction that is open.
func (c *Conn) Protocol() []byte { return []byte(c.protocol()) }

func (c *Conn) protocol() string {
	switch {
	case c.lmtp && c.smtputf8 && c.TLS != nil:
		return "UTF8LMTPS"
	case c.lmtp && c.smtputf8:
		return "UTF8LMTP"
	case c.lmtp && c.TLS != nil:
		return "LMTPS"
	case c.lmtp:
		return "LMTP"
	case c.User != nil:
		return c.userProtocol()
	case c.smtputf8 && c.TLS != nil:
		return "UTF8SMTPS"
	case c.smtputf8:
		return "UTF8SMTP"
	case c.TLS != nil:
		return "ESMTPS" // STARTTLS needs EHLO; implicit TLS with HELO is named the same
	case c.ESMTP:
		return "ESMTP"
	}
	return "SMTP"
}

// userProtocol is protocol of a session with a login, which EHLO precedes.
func (c *Conn) userProtocol() string {
	switch {
	case c.smtputf8 && c.TLS != nil:
		return "UTF8SMTPSA"
	case c.smtputf8:
		return "UTF8SMTPA"
	case c.TLS != nil:
		return "ESMTPSA"
	}
	return "ESMTPA"
}

// TLSVersion returns "TLSv1.3" and the like, or "" in clear.
func (c *Conn) TLSVersion() string {
	if c.TLS == nil {
		return ""
	}
	switch c.TLS.Version {
	case tls.VersionTLS13:
		return "TLSv1.3"
	case tls.VersionTLS12:
		return "TLSv1.2"
	}
	return "TLS"
}

// AcceptDeadline is the moment after which the text that is being committed must
// not be accepted any more, since its sender may have given up and will send it
// again (RFC 1047). It is set when Commit is called.
func (c *Conn) AcceptDeadline() time.Time { return c.deadline }

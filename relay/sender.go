package relay

import (
	"postrider/internal/auth"
	"postrider/internal/mail"
	"postrider/relay/smtpd"
	"postrider/relay/submission"
)

// Submission says what is done with mail of clients that have logged in.
type Submission struct {
	// CheckSender asks that MAIL FROM and what the header says of its author belong to
	// the login, where the login is what lets the client in: always at Engine.Submission,
	// and elsewhere unless its network may relay anyway.
	CheckSender bool
	// HideClient leaves name and address of the client out of the Received line.
	HideClient bool
	// Separator stands between a user's name and a detail that is the user's too; 0:
	// nothing does.
	Separator byte
}

// Submission returns what a submission server (RFC 6409) asks about its sessions. Its
// server must let nobody send before a login (smtpd.Options.RequireLogin).
func (e *Engine) Submission() smtpd.Handler { return &intake{e: e, submission: true} }

var statusSender = mail.NewStatus(553, 5, 7, 1, "the sender's address is not of your login")

// author is what a session has of the header of a client that has logged in.
type author struct {
	header submission.Header
	at     bool // the text goes through header
	out    func(p []byte) mail.Status
}

// bound reports that the login must own what it writes as.
func (s *session) bound() bool {
	return s.c.User != nil && s.rules.Submission.CheckSender && (s.submission || !s.rules.Access.Trusted(s.c.Remote.Addr()))
}

// owns reports an address that the login may write as.
func (s *session) owns(u *auth.User, address []byte) bool {
	return u.MaySendAs(string(address), s.rules.Submission.Separator)
}

// checkSender refuses a reverse-path that is not of the login. The null one is of
// notices, which mail programs send too (RFC 3798 section 3).
func (s *session) checkSender(from mail.Address) mail.Status {
	if from.IsNull() || !s.bound() {
		return mail.Status{}
	}
	s.text = from.AppendText(s.text[:0])
	if !s.owns(s.c.User, s.text) {
		return statusSender
	}
	return mail.Status{}
}

// beginHeader readies for the text of a client that has logged in.
func (s *session) beginHeader(env *mail.Envelope) {
	s.author.at = s.submission || s.bound()
	if !s.author.at {
		return
	}
	u := s.c.User
	m := submission.Message{ID: env.ID, Hostname: s.e.o.Hostname, Time: s.e.o.Clock(), Mend: s.submission, From: env.Sender}
	if len(m.From) == 0 {
		m.From = env.User
	}
	if s.bound() {
		m.Owns = func(address []byte) bool { return s.owns(u, address) }
	}
	s.author.header.Reset(&m)
	if s.author.out == nil {
		s.author.out = s.put
	}
}

// finishHeader says that the text is over.
func (s *session) finishHeader() mail.Status {
	if !s.author.at {
		return mail.Status{}
	}
	s.author.at = false
	return s.author.header.Finish(s.author.out)
}

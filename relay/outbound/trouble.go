package outbound

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// Phase is the part of a connection's life in which it failed.
type Phase uint8

// The phases. Only in PhaseSession had deliveries been pulled.
const (
	PhaseConnect  Phase = iota + 1 // dialling
	PhaseGreeting                  // waiting for the 220
	PhaseHello                     // EHLO, HELO or LHLO
	PhaseTLS                       // STARTTLS and the handshake
	PhaseAuth                      // the login
	PhaseSession                   // a transaction
)

// String returns the phase as the log writes it.
func (p Phase) String() string {
	switch p {
	case PhaseConnect:
		return "connect"
	case PhaseGreeting:
		return "greeting"
	case PhaseHello:
		return "hello"
	case PhaseTLS:
		return "tls"
	case PhaseAuth:
		return "auth"
	case PhaseSession:
		return "session"
	}
	return "none"
}

// Error is a connection that did no good.
type Error struct {
	Phase  Phase
	Status mail.Status // what the server said, or ours; the text is the Error's own
	Said   bool        // the server said it
	Class  mail.Class  // of a status of ours; mail.ClassNone when the server said it
	Err    error       // the cause, for the log; nil when a reply was the cause
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("outbound: %s: %s", e.Phase, e.Status)
	}
	return fmt.Sprintf("outbound: %s: %s: %v", e.Phase, e.Status, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// MailStatus returns Status, for a caller that knows the kind of error only.
func (e *Error) MailStatus() mail.Status { return e.Status }

// Our own words for what went wrong (RFC 3463 section 3). Whatever is wrong with
// a connection may be right tomorrow, so those are temporary; what is wrong with
// the message for a server that lacks an extension is for good.
var (
	statusNoTarget    = mail.NewStatus(451, 4, 4, 4, "the next hop has no address")
	statusNoName      = mail.NewStatus(451, 4, 4, 3, "the name of the next hop could not be resolved")
	statusNoSource    = mail.NewStatus(451, 4, 3, 5, "the address to send from is not one of this system")
	statusNoAnswer    = mail.NewStatus(451, 4, 4, 1, "no answer from the next hop")
	statusRefused     = mail.NewStatus(451, 4, 4, 1, "connection refused by the next hop")
	statusLost        = mail.NewStatus(451, 4, 4, 2, "connection to the next hop lost")
	statusTimeout     = mail.NewStatus(451, 4, 4, 2, "the next hop did not answer in time")
	statusCut         = mail.NewStatus(451, 4, 3, 2, "this system was shut down before the next hop had answered")
	statusNoTLS       = mail.NewStatus(451, 4, 7, 10, "the next hop offers no encryption")
	statusHandshake   = mail.NewStatus(451, 4, 7, 5, "TLS handshake with the next hop failed")
	statusCertificate = mail.NewStatus(451, 4, 7, 5, "the certificate of the next hop is not one that is trusted")
	statusNoLogin     = mail.NewStatus(454, 4, 7, 4, "the next hop offers no login that this system has")
	statusLoginClear  = mail.NewStatus(454, 4, 7, 11, "no login without encryption, and the next hop offers none")
	statusBadLogin    = mail.NewStatus(454, 4, 7, 8, "the next hop does not keep to the rules of the login")
	statusProtocol    = mail.NewStatus(451, 4, 5, 0, "the next hop does not keep the protocol")
	statusCorrupt     = mail.NewStatus(451, 4, 3, 0, "stored message is damaged")
	statusUnread      = mail.NewStatus(451, 4, 3, 0, "stored message could not be read")
	statusBareLines   = mail.NewStatus(550, 5, 6, 11, "message has a CR or LF that stands alone")
	statusEightBit    = mail.NewStatus(550, 5, 6, 3, "message has 8-bit text and the next hop takes none")
	statusUTF8        = mail.NewStatus(550, 5, 6, 7, "message needs SMTPUTF8 and the next hop has it not")
	statusNoRequire   = mail.NewStatus(550, 5, 7, 30, "message demands REQUIRETLS and the next hop has it not")
	statusUnverified  = mail.NewStatus(550, 5, 7, 10, "message demands encryption for a next hop that has proved who it is")
	statusDowngraded  = mail.NewStatus(451, 4, 7, 10, "message demands encryption and the next hop fails at it")
	statusNoOther     = mail.NewStatus(451, 4, 4, 1, "no answer from the hosts that may be able to take the message")
	statusTooBig      = mail.NewStatus(552, 5, 3, 4, "message is larger than the next hop takes")
	statusSender      = mail.NewStatus(553, 5, 1, 7, "sender address cannot be written")
	statusRecipient   = mail.NewStatus(553, 5, 1, 3, "recipient address cannot be written")
)

var (
	errClosing  = errors.New("the server is closing the connection")
	errSequence = errors.New("a reply that does not fit its command")
	errTooLong  = errors.New("the delivery took too long")
	errBody     = errors.New("the message cannot be sent to its end")
)

// judge says what an error of a connection that stands comes to.
func judge(err error) (mail.Status, mail.Class) {
	switch {
	case errors.Is(err, smtp.ErrReply), errors.Is(err, smtp.ErrEarly), errors.Is(err, errSequence):
		return statusProtocol, mail.ClassProtocol
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errTooLong):
		return statusTimeout, mail.ClassTimeout
	}
	return statusLost, mail.ClassConnection
}

// judgeDial says what a failure to connect comes to.
func judgeDial(err error) (mail.Status, mail.Class) {
	var name *net.DNSError
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &name):
		return statusNoName, mail.ClassDNS
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return statusNoSource, mail.ClassOther
	case errors.Is(err, syscall.ECONNREFUSED):
		return statusRefused, mail.ClassConnection
	case errors.As(err, &slow) && slow.Timeout():
		return statusNoAnswer, mail.ClassTimeout
	}
	return statusNoAnswer, mail.ClassConnection
}

// failed is an Error of ours.
func failed(phase Phase, err error) *Error {
	status, class := judge(err)
	return &Error{Phase: phase, Status: status, Class: class, Err: err}
}

// owned returns s with a text of its own.
func owned(s mail.Status) mail.Status {
	s.Text = append([]byte(nil), s.Text...)
	return s
}

// breakDown ends every transaction under way after a failure. The first in line
// bears it. Those behind it, which were only sent ahead, bear it if the server
// can have taken them; else they are left untried. So is the first when it was
// cut off by us.
func (s *session) breakDown(err error, status mail.Status, class mail.Class, cut bool) {
	for i := 0; s.n > 0; i++ {
		tx := s.first()
		d := tx.d
		tx.softenRefused()
		d.Broken = class
		d.DotSent = tx.end > 0 && !tx.lone && s.c.Sent() >= tx.end
		switch {
		case i == 0 && !d.DotSent && (cut || s.blameless(tx, err)):
		case i == 0:
			tx.rest(status)
		case d.DotSent && !errors.Is(err, errClosing): // after a 421 a server takes nothing
			tx.rest(status)
		}
		s.finish(tx)
	}
}

// blameless says that a connection which had worked ended between messages, so
// tx, whose commands met its end before its text, has not been tried. Servers limit by time and
// by count how long a connection may be used; that costs no message an attempt.
// It can't go round in circles: every such connection has delivered something.
func (s *session) blameless(tx *transaction, err error) bool {
	return s.successes > 0 && tx.replies == 0 && s.c.Buffered() == 0 &&
		!errors.Is(err, os.ErrDeadlineExceeded)
}

// salvageTime is how long a server may take to say why it stopped reading.
const salvageTime = time.Second

// salvage reads, after a write failed, what the server had said before: often
// the reason.
func (s *session) salvage(err error) error {
	s.c.Limit(time.Now().Add(salvageTime))
	for s.outstanding() > 0 {
		if rerr := s.readOne(); rerr != nil {
			if errors.Is(rerr, errClosing) {
				return rerr
			}
			return err
		}
	}
	return err
}

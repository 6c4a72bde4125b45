package mail

// Class says what kind of trouble a reply tells of. It decides when the next
// attempt comes, and stands in the event log and the metrics.
type Class uint8

// The classes.
const (
	ClassNone        Class = iota // no trouble
	ClassOther                    // nothing else is known
	ClassGreylist                 // put off on purpose, once
	ClassRate                     // too much mail in too short a time
	ClassConnection               // refused, or too many connections at once
	ClassTimeout                  // no answer in time
	ClassMailboxFull              // the recipient's quota
	ClassContent                  // the message looks like spam or malware
	ClassReputation               // our address or domain is not liked
	ClassPolicy                   // a rule of the receiver
	ClassNoUser                   // the address does not exist
	ClassDNS                      // names could not be resolved, or do not exist
	ClassTLS                      // no connection as protected as is demanded
	ClassAuth                     // the login was refused or is missing
	ClassProtocol                 // a peer that does not keep the protocol
	ClassSize                     // the message is too large
	ClassRelayDenied              // the receiver does not serve that domain

	NumClasses = iota
)

// String returns the word of the event log, "" for ClassNone.
func (c Class) String() string {
	switch c {
	case ClassNone:
		return ""
	case ClassGreylist:
		return "greylist"
	case ClassRate:
		return "rate_limit"
	case ClassConnection:
		return "refused"
	case ClassTimeout:
		return "timeout"
	case ClassMailboxFull:
		return "mailbox_full"
	case ClassContent:
		return "spam_block"
	case ClassReputation:
		return "ip_block"
	case ClassPolicy:
		return "policy"
	case ClassNoUser:
		return "no_user"
	case ClassDNS:
		return "dns"
	case ClassTLS:
		return "tls"
	case ClassAuth:
		return "auth"
	case ClassProtocol:
		return "protocol"
	case ClassSize:
		return "size"
	case ClassRelayDenied:
		return "relay_denied"
	case ClassOther:
	}
	return "other"
}

// ParseClass is the reverse of String; false when word names no class.
func ParseClass(word string) (Class, bool) {
	for c := ClassOther; c < NumClasses; c++ {
		if c.String() == word {
			return c, true
		}
	}
	return ClassNone, false
}

// Site reports a class that is about the connection or the sender as a whole
// rather than about one message: it is answered by holding the lane, not the
// message.
func (c Class) Site() bool {
	switch c {
	case ClassRate, ClassConnection, ClassTimeout, ClassReputation, ClassDNS, ClassTLS, ClassAuth, ClassProtocol:
		return true
	}
	return false
}

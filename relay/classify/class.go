package classify

import (
	"bytes"

	"postrider/internal/mail"
)

// codeClass is the class that a peer's codes tell.
func codeClass(s mail.Status) mail.Class {
	if c := enhancedClass(s.Enhanced); c != mail.ClassNone {
		if s.Code == 421 && c == mail.ClassPolicy {
			return mail.ClassRate // it closes the connection: not about one message
		}
		return c
	}
	switch s.Code {
	case 421: // RFC 5321 section 3.8: the service is closing the channel
		return mail.ClassConnection
	case 454: // RFC 3207 section 4
		return mail.ClassTLS
	case 455, 500, 501, 502, 503, 504, 555:
		return mail.ClassProtocol
	case 521, 556: // RFC 7504
		return mail.ClassRelayDenied
	case 530, 534, 535, 538: // RFC 4954 section 6
		return mail.ClassAuth
	case 551:
		return mail.ClassNoUser
	case 552: // RFC 5321 section 4.2.3: storage allocation exceeded
		return mail.ClassMailboxFull
	}
	return mail.ClassOther
}

// enhancedClass is the class that an enhanced code tells of itself (RFC 3463,
// RFC 7372, RFC 7505, RFC 8689 and the registry); ClassNone when it tells none.
// About a peer's X.4: it speaks of hosts behind it, so that its lane is fine.
func enhancedClass(e mail.Enhanced) mail.Class {
	switch e.Subject {
	case 1:
		switch e.Detail {
		case 7, 8, 9: // about the sender
			return mail.ClassPolicy
		}
		return mail.ClassNoUser
	case 2:
		switch e.Detail {
		case 1:
			if e.Class == 5 {
				return mail.ClassNoUser
			}
		case 2:
			return mail.ClassMailboxFull
		case 3:
			return mail.ClassSize
		}
	case 3:
		switch e.Detail {
		case 1:
			return mail.ClassRate // its disk is full: it can take no more mail now
		case 2:
			return mail.ClassConnection
		case 4:
			return mail.ClassSize
		}
	case 4:
		switch e.Detail {
		case 2:
			return mail.ClassTimeout
		case 5:
			return mail.ClassRate
		case 6:
			return mail.ClassPolicy
		}
	case 5:
		if e.Detail == 3 { // too many recipients
			return mail.ClassPolicy
		}
		if e.Detail != 0 || e.Class == 4 { // 5.5.0 is said of mailboxes, too
			return mail.ClassProtocol
		}
	case 6:
		return mail.ClassPolicy
	case 7:
		return securityClass(e.Detail)
	}
	return mail.ClassNone
}

// securityClass is the class of X.7.detail.
func securityClass(detail uint16) mail.Class {
	switch detail {
	case 8, 9, 12, 13:
		return mail.ClassAuth
	case 5, 10, 11, 30: // cryptographic failure; encryption needed
		return mail.ClassTLS
	case 16:
		return mail.ClassSize
	case 17, 18: // RFC 7293: the mailbox has another owner now
		return mail.ClassNoUser
	case 25: // RFC 7372: reverse DNS, which is about our address
		return mail.ClassReputation
	case 28: // mail flood
		return mail.ClassRate
	}
	return mail.ClassPolicy
}

// ownClass is the class of a status that we made up.
func ownClass(s mail.Status) mail.Class {
	switch e := s.Enhanced; e.Subject {
	case 1:
		switch e.Detail {
		case 2, 10: // no such domain; it takes no mail (RFC 7505)
			return mail.ClassDNS
		case 3:
			return mail.ClassNoUser
		}
		return mail.ClassPolicy
	case 3:
		if e.Detail == 4 {
			return mail.ClassSize
		}
	case 4:
		switch e.Detail {
		case 1:
			return mail.ClassConnection
		case 2:
			if bytes.Contains(s.Text, []byte("time")) { // "did not answer in time"; else it was lost
				return mail.ClassTimeout
			}
			return mail.ClassConnection
		case 3, 4:
			return mail.ClassDNS
		case 6:
			return mail.ClassPolicy
		}
	case 5:
		return mail.ClassProtocol
	case 6:
		return mail.ClassPolicy
	case 7:
		switch e.Detail {
		case 0, 5, 7, 10, 30:
			return mail.ClassTLS
		case 3, 8, 9, 11:
			return mail.ClassAuth
		}
		return mail.ClassPolicy
	}
	return mail.ClassOther
}

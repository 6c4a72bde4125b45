package classify

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"postrider/internal/mail"
)

// ParseCode reads a basic code of a rule: three characters, of which the last
// one or two may be "x". It returns the range that it lies in.
func ParseCode(text string) (first, last uint16, err error) {
	if len(text) != 3 || text[0] != '4' && text[0] != '5' {
		return 0, 0, fmt.Errorf("%q is not a code (want 421, 45x or 5xx)", text)
	}
	low, high := []byte(text), []byte(text)
	for i := 1; i < 3; i++ {
		switch c := text[i]; {
		case c == 'x':
			low[i], high[i] = '0', '9'
		case c < '0' || c > '9':
			return 0, 0, fmt.Errorf("%q is not a code (want 421, 45x or 5xx)", text)
		}
	}
	a, _ := strconv.ParseUint(string(low), 10, 16) // three digits
	b, _ := strconv.ParseUint(string(high), 10, 16)
	return uint16(a), uint16(b), nil
}

// codeFits reports whether code n is one that the pattern p stands for.
func codeFits(n uint16, p string) bool {
	digits := [3]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)}
	for i, d := range digits {
		if p[i] != 'x' && p[i] != d {
			return false
		}
	}
	return true
}

// enhancedPattern is an enhanced code of which parts may be open (-1).
type enhancedPattern struct{ class, subject, detail int16 }

func parseEnhancedList(list []string) ([]enhancedPattern, error) {
	var out []enhancedPattern
	for _, text := range list {
		p, err := parseEnhancedPattern(text)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// CheckEnhanced reports whether text is an enhanced code of a rule: "4.7.0",
// "x.7.1" (4 or 5), "5.7.*", "5.*.*", or "*" for any and none.
func CheckEnhanced(text string) error {
	_, err := parseEnhancedPattern(text)
	return err
}

func parseEnhancedPattern(text string) (enhancedPattern, error) {
	if text == "*" {
		return enhancedPattern{-1, -1, -1}, nil
	}
	bad := fmt.Errorf("%q is not an enhanced code (want 4.7.0, x.7.1, 5.7.* or *)", text)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return enhancedPattern{}, bad
	}
	var n [3]int16
	for i, p := range parts {
		if p == "*" && i > 0 || p == "x" && i == 0 {
			n[i] = -1
			continue
		}
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || v > 999 || i == 0 && v != 4 && v != 5 {
			return enhancedPattern{}, bad
		}
		n[i] = int16(v)
	}
	return enhancedPattern{n[0], n[1], n[2]}, nil
}

func anyFits(list []enhancedPattern, e mail.Enhanced) bool {
	for _, p := range list {
		if p == (enhancedPattern{-1, -1, -1}) {
			return true
		}
		if e.Class != 0 && (p.class < 0 || p.class == int16(e.Class)) &&
			(p.subject < 0 || p.subject == int16(e.Subject)) && (p.detail < 0 || p.detail == int16(e.Detail)) {
			return true
		}
	}
	return false
}

// leavesOpen reports an enhanced code that is used for so much that the words
// must be asked: none, X.0.0, the general ones of a subject, and X.7.1.
func leavesOpen(e mail.Enhanced) bool {
	switch {
	case e.Class == 0, e.Subject == 0, e.Detail == 0:
		return true
	}
	switch [2]uint16{e.Subject, e.Detail} {
	case [2]uint16{2, 1}, // mailbox disabled, used for mailboxes that get too much
		[2]uint16{3, 2},                                                                     // not accepting messages
		[2]uint16{3, 5},                                                                     // misconfigured
		[2]uint16{4, 1}, [2]uint16{4, 2}, [2]uint16{4, 3}, [2]uint16{4, 4}, [2]uint16{4, 5}, // what a relay says of those behind it
		[2]uint16{5, 1}, [2]uint16{5, 2}, [2]uint16{5, 4}, // said for want of a better one
		[2]uint16{7, 1}:
		return true
	}
	return false
}

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
		if e.Detail != 0 {
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
	case 10, 11, 30:
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

package smtp

import (
	"bytes"

	"postrider/internal/mail"
)

// BodyType is the BODY parameter of MAIL (RFC 6152).
type BodyType uint8

// The values of BODY. BINARYMIME (RFC 3030) is not offered.
const (
	BodyUnset BodyType = iota
	Body7Bit
	Body8BitMIME
)

// MailParams are the parameters of a MAIL command. Slices alias the command line.
type MailParams struct {
	Size       int64       // SIZE in octets (RFC 1870); 0 when not announced
	Body       BodyType    // BODY (RFC 6152)
	SMTPUTF8   bool        // RFC 6531
	Return     mail.Return // RET (RFC 3461 section 4.3)
	Auth       bool        // AUTH was given (RFC 4954 section 5); who is named there is not believed, so it is not kept
	EnvelopeID []byte      // ENVID as sent, still in xtext (RFC 3461 section 4.4)
}

// RcptParams are the parameters of a RCPT command. Slices alias the command line.
type RcptParams struct {
	Notify   mail.Notify // NOTIFY (RFC 3461 section 4.1)
	Original []byte      // ORCPT as sent: address type, ";", xtext (RFC 3461 section 4.2)
}

// Refusals of the parsers.
var (
	statusSyntaxMail  = mail.NewStatus(501, 5, 5, 4, "Syntax: MAIL FROM:<address>")
	statusSyntaxRcpt  = mail.NewStatus(501, 5, 5, 4, "Syntax: RCPT TO:<address>")
	statusSender      = mail.NewStatus(501, 5, 1, 7, "Bad sender address syntax")
	statusSenderHost  = mail.NewStatus(501, 5, 1, 8, "Bad sender domain")
	statusRecipient   = mail.NewStatus(501, 5, 1, 3, "Bad recipient address syntax")
	statusAddressUTF8 = mail.NewStatus(501, 5, 6, 7, "Address beyond ASCII needs SMTPUTF8")
	statusUnknown     = mail.NewStatus(555, 5, 5, 4, "Parameter not known")
	statusParam       = mail.NewStatus(501, 5, 5, 4, "Bad or repeated parameter")
	statusPathLong    = mail.NewStatus(501, 5, 1, 7, "Address is too long")
)

// MaxEnvelopeID is the longest ENVID in octets as sent (RFC 3461 section 4.4).
const MaxEnvelopeID = 100

// MaxOriginal is the longest ORCPT in octets as sent (RFC 3461 section 4.2).
const MaxOriginal = 500

// ParseMail reads the argument of MAIL (RFC 5321 section 4.1.1.2) into p. The
// address and p alias arg, which mail.ParseAddress may rewrite. A non-zero Status
// is the refusal to send.
func ParseMail(arg []byte, p *MailParams) (mail.Address, mail.Status) {
	*p = MailParams{}
	path, rest, ok := cutPath(arg, "FROM:")
	if !ok {
		return mail.Address{}, statusSyntaxMail
	}
	if s := p.parse(rest); !s.IsZero() {
		return mail.Address{}, s
	}
	if len(path) == 0 {
		return mail.Address{}, mail.Status{} // the null reverse-path
	}
	path, ok = stripRoute(path)
	if !ok {
		return mail.Address{}, statusSender
	}
	a, err := mail.ParseAddress(path, p.SMTPUTF8)
	switch err {
	case nil:
		return a, mail.Status{}
	case mail.ErrAddressUTF8:
		return a, statusAddressUTF8
	case mail.ErrAddressDomain:
		return a, statusSenderHost
	case mail.ErrAddressLong:
		return a, statusPathLong
	}
	return a, statusSender
}

// ParseRcpt reads the argument of RCPT (RFC 5321 section 4.1.1.3) into p.
// allowUTF8 says that MAIL had SMTPUTF8. Postmaster may come without a domain, in
// any case. Aliasing and Status are as in ParseMail.
func ParseRcpt(arg []byte, allowUTF8 bool, p *RcptParams) (mail.Address, mail.Status) {
	*p = RcptParams{}
	path, rest, ok := cutPath(arg, "TO:")
	if !ok {
		return mail.Address{}, statusSyntaxRcpt
	}
	if s := p.parse(rest, allowUTF8); !s.IsZero() {
		return mail.Address{}, s
	}
	path, ok = stripRoute(path)
	if !ok {
		return mail.Address{}, statusRecipient
	}
	if is(path, "POSTMASTER") {
		return mail.Address{Local: path}, mail.Status{}
	}
	a, err := mail.ParseAddress(path, allowUTF8)
	switch err {
	case nil:
		return a, mail.Status{}
	case mail.ErrAddressUTF8:
		return a, statusAddressUTF8
	}
	return a, statusRecipient
}

// cutPath splits "FROM:<path> parameters". Spaces behind the colon are not in the
// grammar but common, so they are passed over.
func cutPath(arg []byte, key string) (path, rest []byte, ok bool) {
	if len(arg) < len(key) || !is(arg[:len(key)], key) {
		return nil, nil, false
	}
	arg = bytes.TrimLeft(arg[len(key):], " ")
	if len(arg) == 0 || arg[0] != '<' {
		return nil, nil, false
	}
	end := pathEnd(arg)
	if end < 0 {
		return nil, nil, false
	}
	rest = arg[end+1:]
	if len(rest) > 0 && rest[0] != ' ' {
		return nil, nil, false
	}
	return arg[1:end], rest, true
}

// pathEnd returns the index of the bracket that closes the path, which is not one
// inside a quoted local part.
func pathEnd(arg []byte) int {
	quoted := false
	for i := 1; i < len(arg); i++ {
		switch arg[i] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		case '>':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

// stripRoute takes off a source route, "@one,@two:user@host": it must be accepted
// and should be ignored (RFC 5321 section 4.1.1.3 and appendix C).
func stripRoute(path []byte) ([]byte, bool) {
	for len(path) > 0 && path[0] == '@' {
		end := 1
		literal := false
		for end < len(path) && (literal || path[end] != ',' && path[end] != ':') {
			literal = path[end] == '[' || literal && path[end] != ']'
			end++
		}
		if end == len(path) || !mail.ValidDomain(path[1:end]) {
			return nil, false
		}
		comma := path[end] == ','
		path = path[end+1:]
		if !comma {
			return path, len(path) > 0 && path[0] != '@'
		}
		if len(path) == 0 || path[0] != '@' {
			return nil, false
		}
	}
	return path, len(path) > 0
}

// nextParam cuts the first parameter of rest.
func nextParam(rest []byte) (key, value, after []byte, hasValue bool) {
	rest = bytes.TrimLeft(rest, " ")
	word := rest
	if i := bytes.IndexByte(rest, ' '); i >= 0 {
		word, after = rest[:i], rest[i+1:]
	}
	key = word
	if i := bytes.IndexByte(word, '='); i >= 0 {
		key, value, hasValue = word[:i], word[i+1:], true
	}
	return key, value, after, hasValue
}

func (p *MailParams) parse(rest []byte) mail.Status {
	const (
		size = 1 << iota
		body
		smtputf8
		ret
		envid
		submitter
	)
	seen := 0
	for len(rest) > 0 {
		key, value, after, hasValue := nextParam(rest)
		rest = after
		bit, ok := 0, hasValue && len(value) > 0
		switch {
		case len(key) == 0 && !hasValue:
			continue // spaces at the end
		case is(key, keySize):
			bit = size
			var n int64
			if n, ok = parseSize(value); ok {
				p.Size = n
			}
		case is(key, "BODY"):
			bit = body
			switch {
			case is(value, "7BIT"):
				p.Body = Body7Bit
			case is(value, keyEightBit):
				p.Body = Body8BitMIME
			default: // BINARYMIME is not ours to take: it is not offered
				return statusUnknown
			}
		case is(key, keyUTF8):
			bit, ok = smtputf8, !hasValue
			p.SMTPUTF8 = true
		case is(key, "RET"):
			bit = ret
			switch {
			case is(value, "FULL"):
				p.Return = mail.ReturnFull
			case is(value, "HDRS"):
				p.Return = mail.ReturnHeaders
			default:
				ok = false
			}
		case is(key, "ENVID"):
			bit, ok = envid, ok && len(value) <= MaxEnvelopeID && validXtext(value)
			p.EnvelopeID = value
		case is(key, keyAuth): // "<>" or an address in xtext
			bit, ok = submitter, ok && len(value) <= MaxOriginal && (string(value) == "<>" || validXtext(value))
			p.Auth = true
		default:
			return statusUnknown // RFC 5321 section 4.1.1.11
		}
		if !ok || seen&bit != 0 {
			return statusParam
		}
		seen |= bit
	}
	return mail.Status{}
}

func (p *RcptParams) parse(rest []byte, allowUTF8 bool) mail.Status {
	for len(rest) > 0 {
		key, value, after, hasValue := nextParam(rest)
		rest = after
		switch {
		case len(key) == 0 && !hasValue:
			continue
		case is(key, "NOTIFY"):
			n, ok := parseNotify(value)
			if !ok || p.Notify != 0 {
				return statusParam
			}
			p.Notify = n
		case is(key, "ORCPT"):
			if p.Original != nil || !validOriginal(value, allowUTF8) {
				return statusParam
			}
			p.Original = value
		default:
			return statusUnknown
		}
	}
	return mail.Status{}
}

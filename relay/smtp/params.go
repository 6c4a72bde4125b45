package smtp

import "postrider/internal/mail"

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
	EnvelopeID []byte      // ENVID as sent, still in xtext (RFC 3461 section 4.4)
}

// RcptParams are the parameters of a RCPT command. Slices alias the command line.
type RcptParams struct {
	Notify   mail.Notify // NOTIFY (RFC 3461 section 4.1)
	Original []byte      // ORCPT as sent: address type, ";", xtext (RFC 3461 section 4.2)
}

package message

// Caps on what a Structurer makes of a text. What goes beyond them costs
// nothing: it stays a part that is not looked into.
const (
	depthMax     = 100       // parts within parts
	partsMax     = 10_000    // parts of one message
	boundaryMax  = 256       // octets; RFC 2046 section 5.1.1 allows 70
	fieldMax     = 256 << 10 // octets kept of one header field
	keptMax      = 1 << 20   // octets kept of all header fields of a message
	addressesMax = 20_000    // addresses in all envelopes of a message
	referenceMax = 8 << 10   // octets of References; the last ones are kept
	peekMax      = 4 << 10   // octets of text from which the preview is made
	previewRunes = 200       // RFC 8970 section 3.2
)

// Kind says which grammar of BODYSTRUCTURE a part has (RFC 3501 section 7.4.2).
type Kind uint8

const (
	KindBasic     Kind = iota // neither of the others, or not looked into
	KindText                  // text/*
	KindMultipart             // has children
	KindMessage               // message/rfc822; its only child is the message in it
)

// Encoding is a part's Content-Transfer-Encoding (RFC 2045 section 6).
type Encoding uint8

const (
	EncodingIdentity        Encoding = iota // 7bit, 8bit or binary
	EncodingQuotedPrintable                 //
	EncodingBase64                          //
	EncodingUnknown                         // nobody can decode it
)

// Part is where a part of a message lies in its text. Octets are counted from
// the start of the text.
type Part struct {
	Parent    int32 // index of the part it is in; -1 for the whole message
	Kind      Kind
	Encoding  Encoding
	HeaderOff int64 // start of its header
	BodyOff   int64 // end of its header, the empty line included, and start of its body
	BodyEnd   int64 // end of its body, which the line end before a delimiter does not belong to
	Lines     int64 // line ends in the body
}

// Structure is what IMAP is asked of a message, ready to be sent. It holds for
// the text that was written; lines that somebody puts before it move all offsets
// by their length and change nothing else.
type Structure struct {
	// Envelope, Body and BodyStructure are the values of these fetch items (RFC 3501
	// section 7.4.2): balanced, without line ends outside of literals, with literals
	// only for values that hold octets above 127.
	Envelope      []byte
	Body          []byte
	BodyStructure []byte

	Preview    []byte // start of the text as UTF-8 in one line, at most 200 characters (RFC 8970)
	MessageID  []byte // with its angle brackets; empty: none
	InReplyTo  []byte // the first one
	References []byte // separated by single spaces, the oldest first

	SizeBytes   int64
	HeaderBytes int64 // header block of the message, its empty line included
	Lines       int64 // line ends in the whole text

	// Parts are all parts in the order in which they begin; Parts[0] is the message.
	Parts []Part
}

// Child returns the index of the nth child of part i, counted from 1, or -1.
func (s *Structure) Child(i, n int) int {
	for j := i + 1; j < len(s.Parts) && s.Parts[j].Parent >= int32(i); j++ {
		if s.Parts[j].Parent != int32(i) {
			continue
		}
		if n--; n == 0 {
			return j
		}
	}
	return -1
}

// Find returns the index of the part that the numbers of a section name, as in
// BODY[2.1] (RFC 3501 section 6.4.5), or -1. No number at all names the message.
// The header and text of a message/rfc822 part (BODY[2.HEADER]) are those of its
// child; see Message.
func (s *Structure) Find(numbers []uint32) int {
	if len(s.Parts) == 0 {
		return -1
	}
	at, inside := 0, true // inside: at is a message, not yet one of its parts
	for _, n := range numbers {
		if n == 0 || n > partsMax {
			return -1
		}
		if !inside && s.Parts[at].Kind == KindMessage {
			if at = s.Child(at, 1); at < 0 {
				return -1
			}
			inside = true
		}
		switch {
		case s.Parts[at].Kind == KindMultipart:
			if at = s.Child(at, int(n)); at < 0 {
				return -1
			}
		case !inside || n != 1: // a message that is not multipart has one part, itself
			return -1
		}
		inside = false
	}
	return at
}

// Message returns the index of the message that part i holds: the child of a
// message/rfc822 part, and the whole message for the empty section. It returns -1
// when i holds none.
func (s *Structure) Message(i int, numbers []uint32) int {
	switch {
	case i < 0 || i >= len(s.Parts):
		return -1
	case len(numbers) == 0:
		return i
	case s.Parts[i].Kind == KindMessage:
		return s.Child(i, 1)
	}
	return -1
}

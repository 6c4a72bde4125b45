package message

import "bytes"

// scanState is where in a header a Scanner stands.
type scanState uint8

const (
	lineStart scanState = iota // nothing of the line was seen
	emptyCR                    // the CR of an empty line was seen
	inName                     // in what may be a field's name
	behind                     // in the space behind a name
	inValue                    // in a value that nobody asked for
	inTrace                    // in a value that is kept
	done                       // behind the header
)

const (
	received    = "received"
	deliveredTo = "delivered-to"
	tlsRequired = "tls-required"
	nameMax     = len(deliveredTo) // the longest name that matters
	valueMax    = 256              // the longest value that is handed on: an address
)

// Scanner watches the text of a message go by and sees what stops a mail loop
// (RFC 5321 section 6.3): how many Received fields the header has and where it
// says that it was delivered. It also measures the header block, and sees whether
// the sender would rather have the message in clear than late. The zero value
// is ready; the text may be cut anywhere. The header ends with the first empty
// line, or with the first line that is no field.
type Scanner struct {
	// HeaderBytes is the size of the header block so far, its empty line included.
	HeaderBytes int64
	// Received counts the Received fields so far.
	Received int
	// TLSWaived says that a TLS-Required field has the value No (RFC 8689 section
	// 5), the only one that has a meaning.
	TLSWaived bool
	// Delivered, when set, is handed the value of each Delivered-To field without
	// the spaces around it; the slice is valid during the call. A value that is
	// longer than any address is not handed on.
	Delivered func(value []byte)

	state scanState
	folds bool // a field was seen, so that a line may continue it
	long  bool // the name or the value is longer than what is kept
	nameN uint8
	name  [nameMax]byte
	value []byte // of a Delivered-To or TLS-Required, at most valueMax octets; kept for the next one
}

// Reset readies s for another message; Delivered stays.
func (s *Scanner) Reset() {
	s.HeaderBytes, s.Received, s.TLSWaived = 0, 0, false
	s.state, s.folds = lineStart, false
}

// Done reports that the header has ended, so that no further text is needed.
func (s *Scanner) Done() bool { return s.state == done }

// Scan takes the next piece of the text.
func (s *Scanner) Scan(p []byte) {
	for i := 0; i < len(p) && s.state != done; {
		n := 0
		switch s.state {
		case lineStart:
			n = s.start(p[i])
		case emptyCR: // with LF or without: nothing that follows is a field
			s.state = done
			n = 1
		case inName:
			n = s.readName(p[i:])
		case behind:
			n = s.skipSpace(p[i])
		case inTrace:
			n = s.keep(p[i:])
		case inValue:
			n = s.skipLine(p[i:])
		}
		s.HeaderBytes += int64(n)
		i += n
	}
}

// start looks at the first octet of a line; it takes one or none.
func (s *Scanner) start(c byte) int {
	switch c {
	case '\r':
		s.state = emptyCR
		return 1
	case '\n':
		s.state = done
		return 1
	case ' ', '\t':
		s.state = inValue
		if !s.folds {
			s.state = done
		}
		return 1
	}
	s.state, s.nameN, s.long = inName, 0, false
	return 0
}

// readName reads a field's name (RFC 5322 section 2.2).
func (s *Scanner) readName(p []byte) int {
	for i, c := range p {
		switch {
		case c == ':':
			return i + s.colon()
		case c == ' ' || c == '\t':
			s.state = behind
			return i + 1
		case c < ' ' || c >= 0x7f:
			s.state = done
			return i
		case int(s.nameN) == nameMax:
			s.long = true
		default:
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			s.name[s.nameN] = c
			s.nameN++
		}
	}
	return len(p)
}

// skipSpace passes the space between name and colon (RFC 5322 section 4.5).
func (s *Scanner) skipSpace(c byte) int {
	switch c {
	case ':':
		return s.colon()
	case ' ', '\t':
		return 1
	}
	s.state = done
	return 0
}

// colon ends a name.
func (s *Scanner) colon() int {
	if s.nameN == 0 {
		s.state = done
		return 1
	}
	s.folds, s.state = true, inValue
	if s.long {
		return 1
	}
	switch string(s.name[:s.nameN]) {
	case received:
		s.Received++
	case deliveredTo:
		if s.Delivered != nil {
			s.state, s.value = inTrace, s.value[:0]
		}
	case tlsRequired:
		s.state, s.value = inTrace, s.value[:0]
	}
	return 1
}

func (s *Scanner) skipLine(p []byte) int {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		return len(p)
	}
	s.state = lineStart
	return i + 1
}

// keep gathers a value to the end of its line.
func (s *Scanner) keep(p []byte) int {
	n := s.skipLine(p)
	took := min(n, valueMax-len(s.value))
	s.value = append(s.value, p[:took]...)
	s.long = s.long || took < n
	if s.state != lineStart || s.long {
		return n
	}
	value := bytes.TrimSpace(s.value)
	if string(s.name[:s.nameN]) == deliveredTo {
		s.Delivered(value)
	} else if bytes.EqualFold(value, []byte("no")) {
		s.TLSWaived = true
	}
	return n
}

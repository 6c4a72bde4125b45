package mail

import "strconv"

// Enhanced is an enhanced mail system status code (RFC 3463): class, subject,
// detail. The zero value means that none is known.
type Enhanced struct {
	Class   uint8  // 2, 4 or 5
	Subject uint16 // 0 to 999
	Detail  uint16 // 0 to 999
}

// AppendText appends the code as in "5.7.1"; nothing for the zero value.
func (e Enhanced) AppendText(dst []byte) []byte {
	if e.Class == 0 {
		return dst
	}
	dst = strconv.AppendUint(dst, uint64(e.Class), 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, uint64(e.Subject), 10)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, uint64(e.Detail), 10)
}

// Status is the word that all parts use for how something ended: a session's
// refusal, a transport's report, the queue's reason, the line in a bounce. Text
// is safe to show to a stranger and holds no CR, LF or other control byte; the
// cause of a failure belongs in the log, never here. The zero Status says that
// nothing stands in the way.
//
// Text may alias a buffer of whoever hands the Status out; it is valid until the
// callee returns, and keeping it means copying it.
type Status struct {
	Code     uint16 // basic code, 200 to 599
	Enhanced Enhanced
	Text     []byte
}

// NewStatus builds a Status from constants. It is meant for package level
// values and for paths that are not hot.
func NewStatus(code uint16, class uint8, subject, detail uint16, text string) Status {
	return Status{Code: code, Enhanced: Enhanced{class, subject, detail}, Text: []byte(text)}
}

// IsZero reports whether the status says nothing.
func (s Status) IsZero() bool { return s.Code == 0 }

// OK reports a 2xx code.
func (s Status) OK() bool { return s.Code >= 200 && s.Code < 300 }

// Temporary reports a code that asks for another attempt: 4xx, and also
// anything unknown, since unknown means temporary.
func (s Status) Temporary() bool { return !s.OK() && !s.Permanent() }

// Permanent reports a 5xx code.
func (s Status) Permanent() bool { return s.Code >= 500 && s.Code < 600 }

// AppendText appends "550 5.7.1 text".
func (s Status) AppendText(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(s.Code), 10)
	if s.Enhanced.Class != 0 {
		dst = append(dst, ' ')
		dst = s.Enhanced.AppendText(dst)
	}
	if len(s.Text) > 0 {
		dst = append(dst, ' ')
		dst = append(dst, s.Text...)
	}
	return dst
}

// String returns AppendText as a string, for errors and tests.
func (s Status) String() string { return string(s.AppendText(nil)) }

// Error makes a Status usable as an error.
func (s Status) Error() string { return s.String() }

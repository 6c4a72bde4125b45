package smtp

import (
	"bytes"
	"encoding/binary"
)

// Verb is the first word of a command.
type Verb uint8

// The verbs that a server tells apart. VerbHTTP stands for the methods of HTTP,
// which reach a mail server only by a cross-protocol trick.
const (
	VerbUnknown Verb = iota
	VerbHelo
	VerbEhlo
	VerbLhlo
	VerbMail
	VerbRcpt
	VerbData
	VerbBdat
	VerbRset
	VerbNoop
	VerbQuit
	VerbVrfy
	VerbExpn
	VerbHelp
	VerbStartTLS
	VerbAuth
	VerbEtrn
	VerbTurn
	VerbHTTP
)

// String returns the verb as it is written in a command.
func (v Verb) String() string {
	switch v {
	case VerbHelo:
		return "HELO"
	case VerbEhlo:
		return "EHLO"
	case VerbLhlo:
		return "LHLO"
	case VerbMail:
		return "MAIL"
	case VerbRcpt:
		return "RCPT"
	case VerbData:
		return "DATA"
	case VerbBdat:
		return "BDAT"
	case VerbRset:
		return "RSET"
	case VerbNoop:
		return "NOOP"
	case VerbQuit:
		return "QUIT"
	case VerbVrfy:
		return "VRFY"
	case VerbExpn:
		return "EXPN"
	case VerbHelp:
		return "HELP"
	case VerbStartTLS:
		return "STARTTLS"
	case VerbAuth:
		return "AUTH"
	case VerbEtrn:
		return "ETRN"
	case VerbTurn:
		return "TURN"
	case VerbHTTP:
		return "HTTP"
	}
	return "UNKNOWN"
}

// ParseCommand splits a command line (without CRLF) into its verb, which is taken
// in any case (RFC 5321 section 2.4), and its argument without the spaces around
// it. The argument aliases line.
func ParseCommand(line []byte) (Verb, []byte) {
	word, arg := line, []byte(nil)
	if i := bytes.IndexByte(line, ' '); i >= 0 {
		word, arg = line[:i], bytes.Trim(line[i+1:], " ")
	}
	if len(word) != 4 {
		return longVerb(word), arg
	}
	switch binary.BigEndian.Uint32(word) &^ 0x20202020 { // upper case of letters
	case 'M'<<24 | 'A'<<16 | 'I'<<8 | 'L':
		return VerbMail, arg
	case 'R'<<24 | 'C'<<16 | 'P'<<8 | 'T':
		return VerbRcpt, arg
	case 'D'<<24 | 'A'<<16 | 'T'<<8 | 'A':
		return VerbData, arg
	case 'B'<<24 | 'D'<<16 | 'A'<<8 | 'T':
		return VerbBdat, arg
	case 'E'<<24 | 'H'<<16 | 'L'<<8 | 'O':
		return VerbEhlo, arg
	case 'H'<<24 | 'E'<<16 | 'L'<<8 | 'O':
		return VerbHelo, arg
	case 'L'<<24 | 'H'<<16 | 'L'<<8 | 'O':
		return VerbLhlo, arg
	case 'R'<<24 | 'S'<<16 | 'E'<<8 | 'T':
		return VerbRset, arg
	case 'N'<<24 | 'O'<<16 | 'O'<<8 | 'P':
		return VerbNoop, arg
	case 'Q'<<24 | 'U'<<16 | 'I'<<8 | 'T':
		return VerbQuit, arg
	case 'V'<<24 | 'R'<<16 | 'F'<<8 | 'Y':
		return VerbVrfy, arg
	case 'E'<<24 | 'X'<<16 | 'P'<<8 | 'N':
		return VerbExpn, arg
	case 'H'<<24 | 'E'<<16 | 'L'<<8 | 'P':
		return VerbHelp, arg
	case 'A'<<24 | 'U'<<16 | 'T'<<8 | 'H':
		return VerbAuth, arg
	case 'E'<<24 | 'T'<<16 | 'R'<<8 | 'N':
		return VerbEtrn, arg
	case 'T'<<24 | 'U'<<16 | 'R'<<8 | 'N':
		return VerbTurn, arg
	case 'P'<<24 | 'O'<<16 | 'S'<<8 | 'T', 'H'<<24 | 'E'<<16 | 'A'<<8 | 'D':
		return VerbHTTP, arg
	}
	return VerbUnknown, arg
}

func longVerb(word []byte) Verb {
	switch {
	case is(word, "STARTTLS"):
		return VerbStartTLS
	case is(word, "GET"), is(word, "PUT"), is(word, "CONNECT"), is(word, "OPTIONS"), is(word, "DELETE"), is(word, "HOST:"):
		return VerbHTTP
	}
	return VerbUnknown
}

// ParseBdat reads the argument of BDAT: a size in octets and perhaps LAST (RFC
// 3030 section 2). A size above int64 is given as its largest value.
func ParseBdat(arg []byte) (size int64, last, ok bool) {
	number, rest, more := bytes.Cut(arg, []byte(" "))
	size, ok = parseSize(number)
	if more {
		last = is(bytes.TrimLeft(rest, " "), "LAST")
		ok = ok && last
	}
	return size, last, ok
}

// ValidHelo reports whether name may stand behind EHLO, HELO or LHLO: a host name
// or an address literal, taken with some latitude since many clients know their
// own name badly, but nothing that could mean something to a shell, a path or a
// log: at most 255 letters, digits and "-_.:[]".
func ValidHelo(name []byte) bool {
	if len(name) == 0 || len(name) > 255 {
		return false
	}
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

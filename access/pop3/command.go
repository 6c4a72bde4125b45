package pop3

import "math"

// verb is a command's keyword.
type verb uint8

const (
	verbUnknown verb = iota
	verbUser
	verbPass
	verbApop
	verbAuth
	verbCapa
	verbStls
	verbUTF8
	verbStat
	verbList
	verbUidl
	verbRetr
	verbTop
	verbDele
	verbRset
	verbNoop
	verbQuit
	verbHTTP
)

// String returns the keyword, for logs: it is one of ours, never what was sent.
func (v verb) String() string {
	for _, k := range keywords {
		if k.verb == v {
			return k.name
		}
	}
	return "UNKNOWN"
}

var keywords = [...]struct {
	name string
	verb verb
}{
	{"RETR", verbRetr},
	{"DELE", verbDele},
	{"TOP", verbTop},
	{"LIST", verbList},
	{"UIDL", verbUidl},
	{"STAT", verbStat},
	{"NOOP", verbNoop},
	{"RSET", verbRset},
	{"QUIT", verbQuit},
	{"CAPA", verbCapa},
	{"USER", verbUser},
	{"PASS", verbPass},
	{"AUTH", verbAuth},
	{"APOP", verbApop},
	{"STLS", verbStls},
	{"UTF8", verbUTF8},
	{"GET", verbHTTP},
	{"POST", verbHTTP},
	{"HEAD", verbHTTP},
	{"OPTIONS", verbHTTP},
	{"CONNECT", verbHTTP},
}

// parse parts a line, which is without its CRLF, into the keyword and what follows
// its space. A line without a space has a nil argument.
func parse(line []byte) (v verb, arg []byte) {
	end := len(line)
	for i, c := range line {
		if c == ' ' {
			end, arg = i, line[i+1:]
			break
		}
	}
	for i := range keywords {
		if equalFold(line[:end], keywords[i].name) {
			return keywords[i].verb, arg
		}
	}
	return verbUnknown, arg
}

// equalFold compares with a keyword in capitals.
func equalFold(b []byte, upper string) bool {
	if len(b) != len(upper) {
		return false
	}
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// trimRight returns b without the spaces at its end, nil when nothing is left.
func trimRight(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return nil
	}
	return b
}

// clean reports a line of printable octets: ASCII, or with any octet above it.
func clean(line []byte, eight bool) bool {
	for _, c := range line {
		if c < ' ' || c == 0x7f || c >= 0x80 && !eight {
			return false
		}
	}
	return true
}

// number reads decimal digits and nothing else from the start of b, which a space
// or the end must follow, and returns what comes after the space. What is too large
// to count is the largest number there is.
func number(b []byte) (n int64, rest []byte, ok bool) {
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			if d := int64(c - '0'); n > (math.MaxInt64-d)/10 {
				n = math.MaxInt64
			} else {
				n = n*10 + d
			}
		case c == ' ' && i > 0:
			return n, b[i+1:], true
		default:
			return 0, nil, false
		}
	}
	return n, nil, len(b) > 0
}

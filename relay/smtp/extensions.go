package smtp

import (
	"bytes"
	"strconv"
)

// ExtensionSet is a set of service extensions.
type ExtensionSet uint32

// The extensions that a client or server of this project knows.
const (
	Pipelining          ExtensionSet = 1 << iota // RFC 2920
	Size                                         // RFC 1870
	EightBitMIME                                 // RFC 6152
	SMTPUTF8                                     // RFC 6531
	EnhancedStatusCodes                          // RFC 2034
	Chunking                                     // RFC 3030
	DSN                                          // RFC 3461
	StartTLS                                     // RFC 3207
	LimitsExt                                    // RFC 9422
	Auth                                         // RFC 4954
	RequireTLS                                   // RFC 8689
)

// Has reports whether all of want are in s.
func (s ExtensionSet) Has(want ExtensionSet) bool { return s&want == want }

// Extensions are what a server says of itself in its reply to EHLO or LHLO.
type Extensions struct {
	Set      ExtensionSet
	MaxSize  int64  // SIZE: largest text in octets; 0: not said
	MaxRcpts int    // LIMITS RCPTMAX: recipients of a transaction; 0: not said
	MaxMails int    // LIMITS MAILMAX: transactions of a connection; 0: not said
	AuthText []byte // the mechanisms behind AUTH, as listed
}

// keywords are in the order in which EHLO lists them; those with a parameter or
// a condition of their own are appended by hand.
const (
	keyPipelining = "PIPELINING"
	keySize       = "SIZE"
	keyEightBit   = "8BITMIME"
	keyUTF8       = "SMTPUTF8"
	keyEnhanced   = "ENHANCEDSTATUSCODES"
	keyChunking   = "CHUNKING"
	keyDSN        = "DSN"
	keyStartTLS   = "STARTTLS"
	keyLimits     = "LIMITS"
	keyAuth       = "AUTH"
	keyRequireTLS = "REQUIRETLS"
)

// AppendReply appends the whole reply to EHLO: the greeting line with hostname,
// then one line for each extension (RFC 5321 section 4.1.1.1).
func (e *Extensions) AppendReply(dst []byte, hostname string) []byte {
	last := len(dst)
	line := func(text string) {
		last = len(dst)
		dst = append(dst, "250-"...)
		dst = append(dst, text...)
	}
	end := func() { dst = append(dst, '\r', '\n') }
	line(hostname)
	end()
	flag := func(x ExtensionSet, key string) bool {
		if !e.Set.Has(x) {
			return false
		}
		line(key)
		return true
	}
	if flag(Pipelining, keyPipelining) {
		end()
	}
	if flag(Size, keySize) {
		if e.MaxSize > 0 { // RFC 1870 section 4
			dst = strconv.AppendInt(append(dst, ' '), e.MaxSize, 10)
		}
		end()
	}
	if flag(EightBitMIME, keyEightBit) {
		end()
	}
	if flag(SMTPUTF8, keyUTF8) {
		end()
	}
	if flag(EnhancedStatusCodes, keyEnhanced) {
		end()
	}
	if flag(Chunking, keyChunking) {
		end()
	}
	if flag(DSN, keyDSN) {
		end()
	}
	if flag(StartTLS, keyStartTLS) {
		end()
	}
	if flag(RequireTLS, keyRequireTLS) {
		end()
	}
	if flag(Auth, keyAuth) {
		dst = append(append(dst, ' '), e.AuthText...)
		end()
	}
	if flag(LimitsExt, keyLimits) { // RFC 9422 section 4
		if e.MaxRcpts > 0 {
			dst = strconv.AppendInt(append(dst, " RCPTMAX="...), int64(e.MaxRcpts), 10)
		}
		if e.MaxMails > 0 {
			dst = strconv.AppendInt(append(dst, " MAILMAX="...), int64(e.MaxMails), 10)
		}
		end()
	}
	dst[last+3] = ' '
	return dst
}

// Add reads one line of a reply to EHLO, without its code and CRLF ("SIZE
// 1000"); the line with the server's name must not be given. What is not known
// or not well-formed is passed over.
func (e *Extensions) Add(line []byte) {
	key, arg, _ := bytes.Cut(line, []byte(" "))
	switch {
	case is(key, keyPipelining):
		e.Set |= Pipelining
	case is(key, keySize):
		e.Set |= Size
		if n, ok := parseSize(arg); ok {
			e.MaxSize = n
		}
	case is(key, keyEightBit):
		e.Set |= EightBitMIME
	case is(key, keyUTF8):
		e.Set |= SMTPUTF8
	case is(key, keyEnhanced):
		e.Set |= EnhancedStatusCodes
	case is(key, keyChunking):
		e.Set |= Chunking
	case is(key, keyDSN):
		e.Set |= DSN
	case is(key, keyStartTLS):
		e.Set |= StartTLS
	case is(key, keyRequireTLS):
		e.Set |= RequireTLS
	case is(key, keyAuth):
		e.Set |= Auth
		e.AuthText = append(e.AuthText[:0], arg...)
	case is(key, keyLimits):
		e.Set |= LimitsExt
		e.addLimits(arg)
	}
}

// addLimits reads "RCPTMAX=100 MAILMAX=5" (RFC 9422 section 4: one to six digits,
// no leading zero).
func (e *Extensions) addLimits(arg []byte) {
	for word := range bytes.FieldsSeq(arg) {
		key, value, _ := bytes.Cut(word, []byte("="))
		n, ok := parseSize(value)
		if !ok || n == 0 || n > 999_999 || value[0] == '0' {
			continue
		}
		switch {
		case is(key, "RCPTMAX"):
			e.MaxRcpts = int(n)
		case is(key, "MAILMAX"):
			e.MaxMails = int(n)
		}
	}
}

// is compares a keyword without regard to case; want is in upper case.
func is(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

// maxSize is the largest number that SIZE and BDAT can carry here; RFC 1870
// section 3 allows 20 digits, more than an int64 holds.
const maxSize = 1<<63 - 1

// parseSize reads 1 to 20 digits. What does not fit an int64 is given as the
// largest one, which is above every limit.
func parseSize(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	over := false
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (maxSize-uint64(c-'0'))/10 {
			over = true
			continue
		}
		n = n*10 + uint64(c-'0')
	}
	if over {
		return maxSize, true
	}
	return int64(n), true
}

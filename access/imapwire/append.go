package imapwire

import "strconv"

// maxQuoted is the longest text that is sent as a quoted string: clients read those
// with a bound, and literals with none.
const maxQuoted = 4096

// AppendQuoted appends b as a quoted string. b must hold no CR, LF or NUL, and only
// ASCII where UTF-8 is not enabled.
func AppendQuoted[T ~string | ~[]byte](dst []byte, b T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, b[i])
	}
	return append(dst, '"')
}

// AppendString appends b as a quoted string, or as a literal when it must be one. With
// utf8, octets above ASCII may be quoted (RFC 6855 section 3).
func AppendString[T ~string | ~[]byte](dst []byte, b T, utf8 bool) []byte {
	if quotable(b, utf8) {
		return AppendQuoted(dst, b)
	}
	dst = AppendLiteralHeader(dst, int64(len(b)))
	return append(dst, b...)
}

func quotable[T ~string | ~[]byte](b T, utf8 bool) bool {
	if len(b) > maxQuoted {
		return false
	}
	for i := 0; i < len(b); i++ {
		if c := b[i]; c == 0 || c == '\r' || c == '\n' || c >= 0x80 && !utf8 {
			return false
		}
	}
	return true
}

// AppendNString appends b as AppendString does, and nil as NIL.
func AppendNString(dst, b []byte, utf8 bool) []byte {
	if b == nil {
		return append(dst, "NIL"...)
	}
	return AppendString(dst, b, utf8)
}

// AppendAString appends b as an atom where that is possible, else as AppendString does.
// What reads as NIL is never an atom.
func AppendAString[T ~string | ~[]byte](dst []byte, b T, utf8 bool) []byte {
	if len(b) == 0 || len(b) == 3 && b[0]|0x20 == 'n' && b[1]|0x20 == 'i' && b[2]|0x20 == 'l' {
		return AppendString(dst, b, utf8)
	}
	for i := 0; i < len(b); i++ {
		if special(b[i]) {
			return AppendString(dst, b, utf8)
		}
	}
	return append(dst, b...)
}

// AppendLiteralHeader appends what stands before a literal of n octets.
func AppendLiteralHeader(dst []byte, n int64) []byte {
	dst = append(dst, '{')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "}\r\n"...)
}

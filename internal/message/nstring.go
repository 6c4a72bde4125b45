package message

import "strconv"

// appendNString appends value as an nstring, nil as NIL.
func appendNString(dst, value []byte) []byte {
	if value == nil {
		return append(dst, "NIL"...)
	}
	return appendString(dst, value)
}

// appendString appends value as a quoted string, or as a literal when it has
// octets above 127, which IMAP4rev1 allows nowhere else (RFC 3501 section 4.3).
func appendString(dst, value []byte) []byte {
	escaped := 0
	for _, c := range value {
		if c >= 0x80 {
			dst = strconv.AppendInt(append(dst, '{'), int64(len(value)), 10)
			return appendClean(append(dst, "}\r\n"...), value)
		}
		if c == '"' || c == '\\' {
			escaped++
		}
	}
	dst = append(dst, '"')
	if escaped == 0 {
		dst = appendClean(dst, value)
	} else {
		for _, c := range value {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, clean(c))
		}
	}
	return append(dst, '"')
}

// appendLower appends value as a string in lower case: some clients know the
// words of MIME in no other.
func appendLower(dst, value []byte) []byte {
	start := len(dst)
	dst = appendString(dst, value)
	for i := start; i < len(dst); i++ {
		if c := dst[i]; c >= 'A' && c <= 'Z' {
			dst[i] = c + 'a' - 'A'
		}
	}
	return dst
}

// appendClean appends value without controls, at its length.
func appendClean(dst, value []byte) []byte {
	for _, c := range value {
		dst = append(dst, clean(c))
	}
	return dst
}

// clean replaces a control by a space.
func clean(c byte) byte {
	if c < ' ' || c == 0x7f {
		return ' '
	}
	return c
}

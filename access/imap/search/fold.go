package search

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// appendFold appends p, which is UTF-8, in the form in which strings are compared:
// decomposed and without regard to case (RFC 5051). Octets that are not UTF-8 stay as
// they are.
func appendFold(dst, p []byte) []byte {
	for len(p) > 0 {
		n := asciiLen(p)
		dst = appendLower(dst, p[:n])
		if p = p[n:]; len(p) == 0 {
			break
		}
		n = otherLen(p)
		dst = appendFoldRunes(dst, p[:n])
		p = p[n:]
	}
	return dst
}

// asciiLen returns how many octets p begins with that are ASCII.
func asciiLen(p []byte) int {
	n := 0
	for ; n+8 <= len(p); n += 8 {
		q := p[n : n+8]
		if (q[0]|q[1]|q[2]|q[3]|q[4]|q[5]|q[6]|q[7])&0x80 != 0 {
			break
		}
	}
	for n < len(p) && p[n] < 0x80 {
		n++
	}
	return n
}

// otherLen returns how many octets p begins with that are not ASCII.
func otherLen(p []byte) int {
	n := 0
	for n < len(p) && p[n] >= 0x80 {
		n++
	}
	return n
}

// appendLower appends p with the letters of ASCII in lower case.
func appendLower(dst, p []byte) []byte {
	start := len(dst)
	dst = append(dst, p...)
	for i, c := range dst[start:] {
		if c-'A' < 26 {
			dst[start+i] = c | 0x20
		}
	}
	return dst
}

// appendFoldRunes is appendFold for a run without ASCII. Marks stay in the order in which
// they are written, which nearly always is the canonical one.
func appendFoldRunes(dst, p []byte) []byte {
	for len(p) > 0 {
		properties := norm.NFKD.Properties(p)
		n := properties.Size()
		if n == 0 { // cut, at the end
			return append(dst, p...)
		}
		if parts := properties.Decomposition(); parts != nil {
			for _, r := range string(parts) {
				dst = utf8.AppendRune(dst, foldRune(r))
			}
		} else if r, size := utf8.DecodeRune(p); r == utf8.RuneError && size == 1 {
			dst = append(dst, p[:n]...)
		} else {
			dst = appendJamo(dst, foldRune(r))
		}
		p = p[n:]
	}
	return dst
}

// appendJamo appends r, a syllable of Hangul as its letters (Unicode section 3.12).
func appendJamo(dst []byte, r rune) []byte {
	const first, vowels, finals = 0xac00, 21, 28
	s := r - first
	if s < 0 || s >= 19*vowels*finals {
		return utf8.AppendRune(dst, r)
	}
	dst = utf8.AppendRune(dst, 0x1100+s/(vowels*finals))
	dst = utf8.AppendRune(dst, 0x1161+s/finals%vowels)
	if final := s % finals; final > 0 {
		dst = utf8.AppendRune(dst, 0x11a7+final)
	}
	return dst
}

// foldRune returns the one of r's case variants that stands for all: long s and
// Kelvin sign are s and k, final sigma is sigma.
func foldRune(r rune) rune {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// sameFold reports that b is name in any case, which is in lower case and ASCII.
func sameFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

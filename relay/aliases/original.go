package aliases

import (
	"fmt"
	"unicode/utf8"
)

// appendOriginal writes the ORCPT of an address: "rfc822;" and xtext (RFC 3461
// section 4.2), or "utf-8;" with what is beyond ASCII as \x{HEX}, which every
// server can pass on (RFC 6533 section 3).
func appendOriginal(dst, address []byte) []byte {
	kind := "rfc822;"
	for _, c := range address {
		if c >= utf8.RuneSelf {
			kind = "utf-8;"
			break
		}
	}
	dst = append(dst, kind...)
	for len(address) > 0 {
		c, size := utf8.DecodeRune(address)
		address = address[size:]
		switch {
		case c >= utf8.RuneSelf, kind == "utf-8;" && (c == '\\' || c == '+' || c == '=' || c <= ' ' || c == 0x7f):
			dst = fmt.Appendf(dst, `\x{%02X}`, c)
		case c == '+' || c == '=' || c <= ' ' || c == 0x7f:
			const hex = "0123456789ABCDEF"
			dst = append(dst, '+', hex[c>>4&15], hex[c&15])
		default:
			dst = append(dst, byte(c))
		}
	}
	return dst
}

package smtp

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// AppendPath appends a canonical address, as an envelope holds it, in angle
// brackets; an empty one is the null reverse-path. It reports false, with dst
// unchanged in length, for anything that is not a local part and a domain (or a
// bare local part such as postmaster) of the grammar of RFC 5321 section 4.1.2:
// whatever got into a queue, nothing in an address can end a command, close its
// brackets or add a parameter. Bytes above 127 are let through when utf8 is set;
// else a domain that has some is written in A-labels (RFC 5890 section 2.3.2.1),
// and a local part that has some can't be written.
func AppendPath(dst, address []byte, utf8 bool) ([]byte, bool) {
	if len(address) == 0 {
		return append(dst, "<>"...), true
	}
	local, domain := address, []byte(nil)
	if i := bytes.LastIndexByte(address, '@'); i >= 0 {
		local, domain = address[:i], address[i+1:]
		if !utf8 && !ASCII(domain) {
			domain = aLabels(domain)
		}
		if !pathDomain(domain, utf8) {
			return dst, false
		}
	}
	if !pathLocal(local, utf8) {
		return dst, false
	}
	dst = append(append(dst, '<'), local...)
	if domain != nil {
		dst = append(append(dst, '@'), domain...)
	}
	return append(dst, '>'), true
}

// aLabels returns a domain in A-labels, nil when it has no such form.
func aLabels(domain []byte) []byte {
	if !utf8.Valid(domain) {
		return nil
	}
	a, err := idna.Lookup.ToASCII(string(domain))
	if err != nil {
		return nil
	}
	return []byte(a)
}

// ASCII reports that b has no byte above 127.
func ASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// pathLocal tells whether b is a Dot-string or a Quoted-string. Of the quoted
// form it takes any printable text, with quotes and backslashes escaped.
func pathLocal(b []byte, utf8 bool) bool {
	if len(b) == 0 {
		return false
	}
	if b[0] != '"' {
		for _, c := range b {
			if c <= ' ' || c == 0x7f || c >= 0x80 && !utf8 {
				return false
			}
			switch c {
			case '<', '>', '(', ')', '[', ']', ',', ';', ':', '\\', '"', '@':
				return false
			}
		}
		return true
	}
	if len(b) < 2 || b[len(b)-1] != '"' {
		return false
	}
	inner := b[1 : len(b)-1]
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if c < ' ' || c == 0x7f || c == '"' || c >= 0x80 && !utf8 {
			return false
		}
		if c == '\\' {
			i++
			if i == len(inner) || inner[i] < ' ' || inner[i] >= 0x7f {
				return false
			}
		}
	}
	return true
}

// pathDomain tells whether b has only bytes of domain names or of an address
// literal.
func pathDomain(b []byte, utf8 bool) bool {
	if len(b) == 0 {
		return false
	}
	if b[0] == '[' {
		if len(b) < 3 || b[len(b)-1] != ']' {
			return false
		}
		b = b[1 : len(b)-1]
		for _, c := range b {
			if c <= ' ' || c >= 0x7f || c == '[' || c == ']' || c == '\\' || c == '<' || c == '>' {
				return false
			}
		}
		return true
	}
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		case c >= 0x80 && utf8:
		default:
			return false
		}
	}
	return true
}

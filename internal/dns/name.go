package dns

import (
	"strings"

	"golang.org/x/net/idna"
)

// unusual is canonical for names with capitals or letters beyond ASCII.
func unusual(name string) (string, bool) {
	for i := 0; i < len(name); i++ {
		if name[i] < 0x80 {
			continue
		}
		ascii, err := idna.Lookup.ToASCII(name) // RFC 5891 section 5
		if err != nil {
			return "", false
		}
		return canonical(ascii)
	}
	return canonical(strings.ToLower(name))
}

// hostName returns the host that a record names, in lower case and without the dot
// at its end; false when no host can have that name: it has other characters than
// letters, digits, hyphens and underscores, or is an address (RFC 1123 section 2.1).
func hostName(name string) (string, bool) {
	for i := 0; i < len(name); i++ {
		if name[i] >= 0x80 {
			return "", false
		}
	}
	host, ok := canonical(name)
	if !ok {
		return "", false
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return host, strings.ContainsFunc(last, func(c rune) bool { return c < '0' || c > '9' })
}

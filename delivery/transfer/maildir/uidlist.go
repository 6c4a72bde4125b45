package maildir

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// record is what a dovecot-uidlist says of a message.
type record struct {
	uid  uint32
	uidl string // P
	guid string // G
}

// uidList is a dovecot-uidlist.
type uidList struct {
	validity uint32
	next     uint32
	records  map[string]record // by the base of the file's name
}

// parseUIDList reads a dovecot-uidlist of version 3 or 1. Of a record that makes no
// sense nothing is taken, as Dovecot does; a file whose header makes none gives a
// list without UIDs.
func parseUIDList(text []byte) uidList {
	l := uidList{records: make(map[string]record)}
	header, rest, _ := bytes.Cut(text, []byte{'\n'})
	fields := strings.Fields(string(header))
	if len(fields) == 0 {
		return l
	}
	switch fields[0] {
	case "3":
		for _, f := range fields[1:] {
			switch f[0] {
			case 'V':
				l.validity = number(f[1:])
			case 'N':
				l.next = number(f[1:])
			}
		}
	case "1":
		if len(fields) >= 3 {
			l.validity, l.next = number(fields[1]), number(fields[2])
		}
	}
	if l.validity == 0 {
		return l
	}
	last := uint32(0)
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		base, r, ok := parseRecord(string(line), fields[0] == "3")
		if !ok || r.uid <= last { // UIDs rise; a file that is named again has the later one
			continue
		}
		last = r.uid
		l.records[base] = r
	}
	l.next = max(l.next, last+1)
	return l
}

// parseRecord reads "UID [letter value]... :name", or "UID name" of version 1.
func parseRecord(line string, extended bool) (base string, r record, ok bool) {
	word, rest, found := strings.Cut(line, " ")
	if r.uid = number(word); !found || r.uid == 0 {
		return "", r, false
	}
	if extended {
		for !strings.HasPrefix(rest, ":") {
			if word, rest, found = strings.Cut(rest, " "); !found || word == "" {
				return "", r, false
			}
			switch word[0] {
			case 'P':
				r.uidl = word[1:]
			case 'G':
				r.guid = word[1:]
			}
		}
		rest = rest[1:]
	}
	base = baseOf(rest)
	return base, r, base != ""
}

// number reads a number above 0 and below 2^32-1; 0 is none.
func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0
	}
	return uint32(n)
}

// baseOf returns a file's name without its flags: what stays the same.
func baseOf(name string) string {
	base, _, _ := strings.Cut(name, ":")
	return base
}

// appendUIDList appends the header of a dovecot-uidlist of version 3. A record
// line is made by appendRecord.
func appendUIDList(dst []byte, validity, next uint32) []byte {
	return fmt.Appendf(dst, "3 V%d N%d\n", validity, next)
}

// appendRecord appends a record. A UIDL with a space in it has no place there.
func appendRecord(dst []byte, uid uint32, uidl, name string) []byte {
	dst = strconv.AppendUint(dst, uint64(uid), 10)
	if uidl != "" && !strings.ContainsAny(uidl, " :\n") {
		dst = append(append(dst, " P"...), uidl...)
	}
	return append(append(append(dst, " :"...), name...), '\n')
}

// parseKeywords reads a dovecot-keywords: "number name" a line, the number being
// that of the letter.
func parseKeywords(text []byte) (words [26]string) {
	for line := range strings.Lines(string(text)) {
		n, word, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		i, err := strconv.Atoi(n)
		if ok && err == nil && i >= 0 && i < len(words) && word != "" {
			words[i] = word
		}
	}
	return words
}

// formatUIDL makes the id that POP3 gave a message out of a format of Dovecot's
// pop3_uidl_format: %u is the UID, %v the UIDVALIDITY, %f the file's name without
// flags, %g the GUID; %08Xu is a number of eight hexadecimal digits, which Dovecot
// writes in lower case whatever the letter is.
func formatUIDL(format string, uid, validity uint32, base, guid string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(format, "%")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		width, hex, i := 0, false, 0
		for ; i < len(rest); i++ {
			switch c := rest[i]; {
			case c >= '0' && c <= '9' && width < 1000:
				width = width*10 + int(c-'0')
				continue
			case c == 'X' || c == 'x':
				hex = true
				continue
			}
			break
		}
		if i == len(rest) {
			return out.String()
		}
		n, isNumber := uint64(0), true
		switch rest[i] {
		case 'u':
			n = uint64(uid)
		case 'v':
			n = uint64(validity)
		default:
			isNumber = false
		}
		switch {
		case isNumber:
			verb := "%0*d"
			if hex {
				verb = "%0*x"
			}
			fmt.Fprintf(&out, verb, min(width, 20), n)
		case rest[i] == 'f':
			out.WriteString(base)
		case rest[i] == 'g':
			out.WriteString(guid)
		case rest[i] == '%':
			out.WriteByte('%')
		}
		format = rest[i+1:]
	}
}

package imap

import "bytes"

// fieldSet are names of header fields, in any case. A look-up costs a few
// nanoseconds however many there are: headers of whole mailboxes are taken apart
// by it.
type fieldSet struct {
	names [][]byte
	next  []uint16   // of the same bucket, counted from 1
	first [64]uint16 // counted from 1; 0: none
}

func (f *fieldSet) reset() {
	clear(f.names)
	*f = fieldSet{names: f.names[:0], next: f.next[:0]}
}

func bucket(name []byte) int {
	n := len(name)
	return (n*5 ^ int(name[0]|0x20)*3 ^ int(name[n-1]|0x20)) & 63
}

// add adds a name, which is not empty. It is kept, not copied.
func (f *fieldSet) add(name []byte) {
	b := bucket(name)
	f.names = append(f.names, name)
	f.next = append(f.next, f.first[b])
	f.first[b] = uint16(len(f.names))
}

func (f *fieldSet) has(name []byte) bool {
	if len(name) == 0 {
		return false
	}
	for i := f.first[bucket(name)]; i != 0; i = f.next[i-1] {
		if bytes.EqualFold(f.names[i-1], name) {
			return true
		}
	}
	return false
}

// octets is a piece of a slice.
type octets struct{ from, to int }

// selected appends the pieces of the header block that are fields in f, or with
// without those that are not, joined where they follow each other. The empty line is
// in no piece. Lines that belong to no field are not in f.
func (f *fieldSet) selected(dst []octets, header []byte, without bool) []octets {
	start := len(dst)
	wanted := without // of the field that the line belongs to
	for at := 0; at < len(header); {
		end := len(header)
		if i := bytes.IndexByte(header[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := header[at:end]
		if c := line[0]; c == '\n' || c == '\r' && len(line) == 2 && line[1] == '\n' {
			break
		} else if c != ' ' && c != '\t' {
			wanted = f.has(lineName(line)) != without
		}
		if wanted {
			if n := len(dst); n > start && dst[n-1].to == at {
				dst[n-1].to = end
			} else {
				dst = append(dst, octets{at, end})
			}
		}
		at = end
	}
	return dst
}

// lineName returns the name of the field that begins with the line: empty when none
// does. Space before the colon is obsolete, but there (RFC 5322 section 4.5).
func lineName(line []byte) []byte {
	i := bytes.IndexByte(line, ':')
	for i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
		i--
	}
	return line[:max(i, 0)]
}

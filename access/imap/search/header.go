package search

import "bytes"

// nextField reads the next field of a header block: its name as it is written, and
// its value with the line ends in it. An empty name and rest say that there is none.
func nextField(header []byte) (name, value, rest []byte) {
	for len(header) > 0 {
		end := fieldEnd(header)
		field := header[:end]
		header = header[end:]
		if colon := bytes.IndexByte(field, ':'); colon > 0 {
			name = bytes.TrimRight(field[:colon], " \t")
			return name, field[colon+1:], header
		}
	}
	return nil, nil, nil
}

// fieldEnd returns the length of the field that p begins with, with the lines that
// continue it (RFC 5322 section 2.2.3).
func fieldEnd(p []byte) int {
	end := 0
	for {
		n := bytes.IndexByte(p[end:], '\n')
		if n < 0 {
			return len(p)
		}
		if end += n + 1; end == len(p) || p[end] != ' ' && p[end] != '\t' {
			return end
		}
	}
}

// nextNamed returns the value of the next field with this name, which is in lower
// case, and what follows it; a nil value says that there is none.
func nextNamed(header []byte, name []byte) (value, rest []byte) {
	for len(header) > len(name) {
		if c := header[0]; c|0x20 == name[0] || c == name[0] {
			if bytes.EqualFold(header[:len(name)], name) {
				if at := afterName(header[len(name):]); at > 0 {
					end := fieldEnd(header)
					return header[min(len(name)+at, end):end:end], header[end:]
				}
			}
		}
		n := bytes.IndexByte(header, '\n') + 1 // a line that continues begins with a space and is no name
		if n == 0 {
			break
		}
		header = header[n:]
	}
	return nil, nil
}

// afterName returns the length of the colon, with spaces before it, that p begins
// with, or 0.
func afterName(p []byte) int {
	for i, c := range p {
		switch c {
		case ':':
			return i + 1
		case ' ', '\t':
		default:
			return 0
		}
	}
	return 0
}

// trimSpace removes the spaces and line ends around a value.
func trimSpace(p []byte) []byte {
	for len(p) > 0 && p[0] <= ' ' {
		p = p[1:]
	}
	for len(p) > 0 && p[len(p)-1] <= ' ' {
		p = p[:len(p)-1]
	}
	return p
}

// appendUnfolded appends p without its line ends.
func appendUnfolded(dst, p []byte) []byte {
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			return append(dst, p...)
		}
		line := p[:n]
		if n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		dst = append(dst, line...)
		p = p[n+1:]
	}
	return dst
}

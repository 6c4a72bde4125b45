package imap

import (
	"strings"
	"testing"
)

func TestFieldSet(t *testing.T) {
	const header = "From: a\r\nTO : b\r\n c\r\n\td\r\nno field\r\nSubject: x\nX-To: y\r\n: nameless\r\n\r\nTo: body\r\n"
	for _, test := range []struct {
		names, want string
		without     bool
	}{
		{"from", "From: a\r\n", false},
		{"FROM to", "From: a\r\nTO : b\r\n c\r\n\td\r\n", false},
		{"x-to subject", "Subject: x\nX-To: y\r\n", false},
		{"none", "", false},
		{"from to subject", "no field\r\nX-To: y\r\n: nameless\r\n", true},
		{"none", header[:strings.Index(header, "\r\n\r\n")+2], true},
	} {
		var f fieldSet
		for _, name := range strings.Fields(test.names) {
			f.add([]byte(name))
		}
		var got strings.Builder
		for _, p := range f.selected(nil, []byte(header), test.without) {
			got.WriteString(header[p.from:p.to])
		}
		if got.String() != test.want {
			t.Errorf("%s, without %v: %q, want %q", test.names, test.without, got.String(), test.want)
		}
	}
}

// FuzzFields sees that every line of a header is in the fields that were asked for or in
// the others.
func FuzzFields(f *testing.F) {
	f.Add("a b", []byte("A: 1\r\n 2\r\nb:\r\nc\r\n\r\nx"))
	f.Fuzz(func(t *testing.T, names string, header []byte) {
		var set fieldSet
		for _, name := range strings.Fields(names) {
			set.add([]byte(name))
		}
		n, end := 0, 0
		for _, without := range []bool{false, true} {
			last := -1
			for _, p := range set.selected(nil, header, without) {
				if p.from <= last || p.to <= p.from || p.to > len(header) {
					t.Fatalf("%q of %q: %v", names, header, p)
				}
				n, end, last = n+p.to-p.from, max(end, p.to), p.to
			}
		}
		if n != end {
			t.Errorf("%q of %q: %d octets of %d", names, header, n, end)
		}
	})
}

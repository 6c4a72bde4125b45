package pop3

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// stuffed passes text through a stuffer in pieces of n octets, into room of as much.
func stuffed(text string, n, room int, lines int64) string {
	x := stuffer{header: lines < math.MaxInt64, lines: lines}
	var out []byte
	for src := []byte(text); len(src) > 0 && !x.done; {
		piece := src[:min(n, len(src))]
		src = src[len(piece):]
		for rest := piece; len(rest) > 0 && !x.done; {
			var b []byte
			b, rest = x.append(make([]byte, 0, room), rest)
			out = append(out, b...)
		}
	}
	if x.octets > 0 {
		out = append(out, "\r\n"...)
	}
	return string(out)
}

// However a text is cut, its lines end with CRLF, dots are doubled, and TOP counts
// the lines after the header.
//
// Covers HI9.
func TestStuffing(t *testing.T) {
	for _, c := range []struct {
		text  string
		lines int64
		want  string
	}{
		{"", math.MaxInt64, ""},
		{"a\r\n.b\r\n..\r\n", math.MaxInt64, "a\r\n..b\r\n...\r\n"},
		{".", math.MaxInt64, "..\r\n"},
		{"a\n.\nb", math.MaxInt64, "a\r\n..\r\nb\r\n"},
		{"a\r.\r\n\r\r\n", math.MaxInt64, "a\r.\r\n\r\r\n"},
		{"a\r", math.MaxInt64, "a\r\r\n"},
		{"\n\n", math.MaxInt64, "\r\n\r\n"},
		{"H: 1\r\nH: 2\r\n\r\nb1\r\n.b2\r\nb3\r\n", 0, "H: 1\r\nH: 2\r\n\r\n"},
		{"H: 1\r\nH: 2\r\n\r\nb1\r\n.b2\r\nb3\r\n", 2, "H: 1\r\nH: 2\r\n\r\nb1\r\n..b2\r\n"},
		{"H: 1\r\nH: 2\r\n\r\nb1\r\n.b2\r\nb3\r\n", 9, "H: 1\r\nH: 2\r\n\r\nb1\r\n..b2\r\nb3\r\n"},
		{"H: 1\n\nb1\nb2\n", 1, "H: 1\r\n\r\nb1\r\n"},
		{"\r\nb1\r\nb2\r\n", 1, "\r\nb1\r\n"},
		{"H: 1\r\n \r\n\r\r\nH\r\n\r\nb1\r\nb2\r\n", 1, "H: 1\r\n \r\n\r\r\nH\r\n\r\nb1\r\n"},
		{"H: no body\r\n", 5, "H: no body\r\n"},
	} {
		for n := 1; n <= len(c.text)+1; n++ {
			for _, room := range []int{4, 5, 7, 100} {
				if got := stuffed(c.text, n, room, c.lines); got != c.want {
					t.Fatalf("%q, TOP %d, pieces of %d, room %d: %q, want %q", c.text, c.lines, n, room, got, c.want)
				}
			}
		}
	}
}

// Unstuffing what was stuffed gives the text back, with CRLF at the end of each line,
// and no line of it is a dot alone.
func FuzzStuffing(f *testing.F) {
	f.Add("a\r\n.\r\n", uint8(3), uint8(9))
	f.Add("\n.\n\r.\r\r\n", uint8(1), uint8(4))
	f.Fuzz(func(t *testing.T, text string, n, room uint8) {
		got := stuffed(text, int(n)+1, int(room)+4, math.MaxInt64)
		if strings.Contains("\r\n"+got, "\r\n.\r\n") || strings.Contains("\n"+got, "\n.\n") {
			t.Fatalf("%q gave %q, which ends early", text, got)
		}
		var want bytes.Buffer
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			want.WriteString(line + "\r\n")
		}
		back := strings.TrimPrefix(strings.ReplaceAll("\r\n"+got, "\n..", "\n."), "\r\n")
		if wants := want.String(); back != wants && !strings.HasSuffix(text, "\r") {
			t.Fatalf("%q gave %q, want %q", text, back, wants)
		}
	})
}

package smtp_test

import (
	"bytes"
	"strings"
	"testing"

	"postrider/relay/smtp"
)

// FuzzDotWriter compares the stuffing and the check of a text, given in pieces,
// with what a split into lines says.
// Covers HS2.
func FuzzDotWriter(f *testing.F) {
	for _, s := range []string{"", ".", "..", ".\r\n", "a\r\n.\r\nb\r\n..c\r\n", "\n.\n", "\r.\r", "x\r\n.y", "\r\n\r\n.\r\n", "\r", "a\rb", "a\nb", "\xff\r\n"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, cut uint8) {
		step := max(1, int(cut))
		var check smtp.TextCheck
		got, start := []byte(nil), true
		for p := text; ; {
			n := min(step, len(p))
			check.Add(p[:n])
			got, start = smtp.AppendDotted(got, p[:n], start)
			if p = p[n:]; len(p) == 0 {
				break
			}
		}
		check.End()

		s := string(text)
		bare := strings.ContainsAny(strings.ReplaceAll(s, "\r\n", ""), "\r\n")
		// "\r\r\n\n" would hide in the replacement: look at each by itself too.
		for i := range s {
			bare = bare || s[i] == '\n' && (i == 0 || s[i-1] != '\r') || s[i] == '\r' && (i+1 == len(s) || s[i+1] != '\n')
		}
		if check.Bare != bare {
			t.Fatalf("%q in pieces of %d: bare %v, not %v", s, step, check.Bare, bare)
		}
		if high := bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }); check.EightBit != high {
			t.Fatalf("%q: eight bit %v, not %v", s, check.EightBit, high)
		}
		lines := strings.SplitAfter(s, "\n")
		for i, l := range lines {
			if strings.HasPrefix(l, ".") {
				lines[i] = "." + l
			}
		}
		if want := strings.Join(lines, ""); string(got) != want {
			t.Fatalf("%q in pieces of %d: %q, not %q", s, step, got, want)
		}
		if start != (s == "" || strings.HasSuffix(s, "\n")) {
			t.Fatalf("%q: at the start of a line: %v", s, start)
		}
	})
}

// No address can end a command or add to it.
// Covers HB4.
func TestAppendPath(t *testing.T) {
	for _, c := range []struct {
		address string
		utf8    bool
		want    string // "": refused
	}{
		{"", false, "<>"},
		{"a@b.example", false, "<a@b.example>"},
		{"postmaster", false, "<postmaster>"},
		{"a+b=c/d@[192.0.2.1]", false, "<a+b=c/d@[192.0.2.1]>"},
		{"a@[IPv6:2001:db8::1]", false, "<a@[IPv6:2001:db8::1]>"},
		{`"a b@c"@d.example`, false, `<"a b@c"@d.example>`},
		{`"a\"b\\"@d.example`, false, `<"a\"b\\"@d.example>`},
		{"\u00fc@b.example", true, "<\u00fc@b.example>"},
		{"\u00fc@b.example", false, ""},
		{"a@\u00fc.example", false, "<a@xn--tda.example>"},
		{"a@B\u00dcCHER.example", false, "<a@xn--bcher-kva.example>"},
		{"\u00fc@\u00fc.example", false, ""},
		{"a@\u00fc.example\r\nRSET", false, ""},
		{"a@\u00fc> SIZE=1", false, ""},
		{"a@\xff.example", false, ""},
		{"a b@c.example", false, ""},
		{"a@b.example>", false, ""},
		{"a>@b.example", false, ""},
		{"<a@b.example", false, ""},
		{"a@b.example> SIZE=1", false, ""},
		{"a\r\nRCPT TO:<x@y>@b.example", false, ""},
		{"\"a\r\nRCPT TO:<x@y>\"@b.example", false, ""},
		{"a\x00@b.example", false, ""},
		{"a\t@b.example", false, ""},
		{"\"a\tb\"@c.example", false, ""},
		{"a@b\nc", false, ""},
		{`"a"b"@c.example`, false, ""},
		{`"a\"@c.example`, false, ""},
		{`"@c.example`, false, ""},
		{"a@", false, ""},
		{"@b.example", false, ""},
		{"a@b@c.example", false, ""},
		{"a@[1.2.3.4", false, ""},
		{"a@[x]y]", false, ""},
		{"a@[]", false, ""},
	} {
		got, ok := smtp.AppendPath([]byte("x"), []byte(c.address), c.utf8)
		if ok != (c.want != "") || string(got) != "x"+c.want {
			t.Errorf("%q: %q %v", c.address, got, ok)
		}
	}
}

package imapwire_test

import (
	"math"
	"strings"
	"testing"

	"postrider/access/imapwire"
)

// What one method takes, and what it leaves.
func TestDecoder(t *testing.T) {
	type taken func(d *imapwire.Decoder) ([]byte, bool)
	of := map[string]taken{
		"atom":    (*imapwire.Decoder).Atom,
		"word":    (*imapwire.Decoder).Word,
		"tag":     (*imapwire.Decoder).Tag,
		"flag":    (*imapwire.Decoder).Flag,
		"astring": (*imapwire.Decoder).AString,
		"list":    (*imapwire.Decoder).ListMailbox,
		"string":  (*imapwire.Decoder).String,
		"string8": (*imapwire.Decoder).String8,
		"nstring": (*imapwire.Decoder).NString,
	}
	for _, c := range []struct {
		what, in, want, rest string
		ok                   bool
	}{
		{"atom", "INBOX rest", "INBOX", " rest", true},
		{"atom", "a]b", "a", "]b", true},
		{"atom", "(a", "", "(a", false},
		{"atom", "", "", "", false},
		{"atom", "\x80", "", "\x80", false},
		{"word", "BODY[TEXT]", "BODY", "[TEXT]", true},
		{"tag", "a]1 x", "a]1", " x", true},
		{"tag", "a+", "a", "+", true},
		{"flag", `\Seen)`, `\Seen`, ")", true},
		{"flag", `$Junk`, `$Junk`, "", true},
		{"flag", `\*`, "", `\*`, false},
		{"astring", "a]b c", "a]b", " c", true},
		{"astring", `"" x`, "", " x", true},
		{"astring", `"a\"b\\" x`, `a"b\`, " x", true},
		{"astring", `"a\b"`, "", `"a\b"`, false},
		{"astring", `"a`, "", `"a`, false},
		{"astring", `"a\"`, "", `"a\"`, false},
		{"astring", "\"a\rb\"", "", "\"a\rb\"", false},
		{"astring", "\"a\x00b\"", "", "\"a\x00b\"", false},
		{"astring", "\"\xc3\xa9\"", "\xc3\xa9", "", true},
		{"astring", "{3}\r\na b) x", "a b", ") x", true},
		{"astring", "{3+}\r\na\r\n x", "a\r\n", " x", true},
		{"astring", "{0}\r\n x", "", " x", true},
		{"astring", "{4}\r\nabc", "", "{4}\r\nabc", false},
		{"astring", "{3}abc", "", "{3}abc", false},
		{"astring", "{-1}\r\nabc", "", "{-1}\r\nabc", false},
		{"astring", "{}\r\nabc", "", "{}\r\nabc", false},
		{"astring", "{99999999999999999999}\r\nabc", "", "{99999999999999999999}\r\nabc", false},
		{"astring", "{1}\r\n\x00", "", "{1}\r\n\x00", false},
		{"string8", "~{1}\r\n\x00 x", "\x00", " x", true},
		{"string8", "~{2}\r\n\x00", "", "~{2}\r\n\x00", false},
		{"string8", "~x", "", "~x", false},
		{"string", "a", "", "a", false},
		{"list", "a%b* x", "a%b*", " x", true},
		{"nstring", "nil)", "", ")", true},
		{"nstring", "nix)", "", "nix)", false},
		{"nstring", `"NIL"`, "NIL", "", true},
	} {
		var d imapwire.Decoder
		d.Reset([]byte(c.in))
		got, ok := of[c.what](&d)
		if ok != c.ok || string(got) != c.want || string(d.Rest()) != c.rest {
			t.Errorf("%s of %q: %q, %v, leaves %q; want %q, %v, %q", c.what, c.in, got, ok, d.Rest(), c.want, c.ok, c.rest)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		in   string
		n32  uint32
		ok32 bool
		n64  uint64
		ok64 bool
	}{
		{"0", 0, true, 0, true},
		{"4294967295", math.MaxUint32, true, math.MaxUint32, true},
		{"4294967296", 0, false, 1 << 32, true},
		{"9223372036854775807", 0, false, math.MaxInt64, true},
		{"9223372036854775808", 0, false, 0, false},
		{"-1", 0, false, 0, false},
		{"x", 0, false, 0, false},
	} {
		var d imapwire.Decoder
		d.Reset([]byte(c.in))
		if n, ok := d.Number(); n != c.n32 || ok != c.ok32 {
			t.Errorf("%q: %d, %v", c.in, n, ok)
		}
		d.Seek(0)
		if n, ok := d.Number64(); n != c.n64 || ok != c.ok64 {
			t.Errorf("%q: %d, %v", c.in, n, ok)
		}
	}
}

// Parentheses nest so deep and no deeper.
//
// Covers HI2.
func TestDepth(t *testing.T) {
	var d imapwire.Decoder
	d.Reset([]byte(strings.Repeat("(", 70_000)))
	n := 0
	for d.Enter() {
		n++
	}
	if n != imapwire.MaxDepth || d.Deeper() {
		t.Errorf("%d deep", n)
	}
	d.Reset([]byte(")"))
	if d.Leave() {
		t.Error("left what was not entered")
	}
}

// The header of a literal that has not been read yet.
//
// Covers HI1.
func TestLiteral(t *testing.T) {
	for _, c := range []struct {
		in   string
		want imapwire.LiteralHeader
		ok   bool
	}{
		{"{10}", imapwire.LiteralHeader{Size: 10, Len: 4}, true},
		{"{10+}", imapwire.LiteralHeader{Size: 10, NonSync: true, Len: 5}, true},
		{"~{0+}", imapwire.LiteralHeader{NonSync: true, Binary: true, Len: 5}, true},
		{"{99999999999999999999}", imapwire.LiteralHeader{Size: math.MaxInt64, Len: 22}, true},
		{"{4294967295+}", imapwire.LiteralHeader{Size: math.MaxUint32, NonSync: true, Len: 13}, true},
		{"{-1}", imapwire.LiteralHeader{}, false},
		{"{}", imapwire.LiteralHeader{}, false},
		{"{+}", imapwire.LiteralHeader{}, false},
		{"{1++}", imapwire.LiteralHeader{}, false},
		{"{1} ", imapwire.LiteralHeader{}, false},
		{"x{1}", imapwire.LiteralHeader{}, false},
		{"1}", imapwire.LiteralHeader{}, false},
	} {
		var d imapwire.Decoder
		d.Reset([]byte(c.in))
		if got, ok := d.Literal(); got != c.want || ok != c.ok || d.End() != ok {
			t.Errorf("%q: %+v, %v", c.in, got, ok)
		}
	}
}

// A set is what it says, however it is written, and never as long as its numbers.
//
// Covers HI2.
func TestNumSet(t *testing.T) {
	for _, c := range []struct {
		in      string
		highest uint32
		want    string
		ok      bool
	}{
		{"1", 9, "1", true},
		{"3:1,2", 9, "1:3", true},
		{"*", 9, "9", true},
		{"*:4", 9, "4:9", true},
		{"12:*", 9, "9:12", true},
		{"5,1:2,4,3", 9, "1:5", true},
		{"1,3,5", 9, "1,3,5", true},
		{"4294967295:1", 9, "1:4294967295", true},
		{"4294967294,4294967295", 9, "4294967294:4294967295", true},
		{strings.Repeat("1:*,", 10_000) + "1:*", 9, "1:9", true},
		{"1:*,7", 0, "7", true},
		{"0", 9, "", false},
		{"1:0", 9, "", false},
		{"4294967296", 9, "", false},
		{"1,", 9, "", false},
		{",1", 9, "", false},
		{"1:", 9, "", false},
		{"", 9, "", false},
	} {
		var d imapwire.Decoder
		var s imapwire.NumSet
		d.Reset([]byte(c.in))
		ok := d.Set(&s)
		if ok != c.ok || !ok && d.Offset() != 0 {
			t.Errorf("%.40q: %v, offset %d", c.in, ok, d.Offset())
			continue
		}
		if got := string(imapwire.AppendSet(nil, s.Resolve(c.highest))); ok && got != c.want {
			t.Errorf("%.40q of %d: %q, want %q", c.in, c.highest, got, c.want)
		}
	}
	var d imapwire.Decoder
	s := imapwire.NumSet{Ranges: []imapwire.Range{{From: 1, To: 1}}}
	d.Reset([]byte("$ x"))
	if !d.Set(&s) || !s.Saved || len(s.Ranges) != 0 || string(d.Rest()) != " x" {
		t.Errorf("%+v, rest %q", s, d.Rest())
	}
	s.Ranges = []imapwire.Range{{From: 2, To: 3}, {From: 7, To: 7}}
	for n, want := range []bool{false, false, true, true, false, false, false, true, false} {
		if s.Contains(uint32(n)) != want {
			t.Errorf("contains %d: %v", n, !want)
		}
	}
}

// Whatever is said, the decoder ends, gives nothing that is not in the slice, and gives
// the same when it is given what it gave.
func FuzzDecoder(f *testing.F) {
	for _, s := range []string{
		`a LOGIN "x\"y" {3}` + "\r\nabc", "a UID FETCH 1:*,$ (FLAGS BODY.PEEK[HEADER.FIELDS (A B)]<0.1>)",
		"~{2}\r\n\x00\x01", "((((", `\Seen $x NIL {10+}`, "1-Feb-1994", " 1-Feb-1994 22:43:04 -0800",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var d imapwire.Decoder
		var s imapwire.NumSet
		d.Reset(append([]byte(nil), in...))
		for !d.End() {
			was := d.Offset()
			if d.Set(&s) && !s.Saved {
				ranges := s.Resolve(math.MaxUint32)
				again := imapwire.NumSet{}
				var e imapwire.Decoder
				e.Reset(imapwire.AppendSet(nil, ranges))
				if !e.Set(&again) || !e.End() || len(again.Resolve(math.MaxUint32)) != len(ranges) {
					t.Fatalf("%q: %v and %v", in, ranges, again)
				}
			}
			for _, f := range []func() ([]byte, bool){d.AString, d.String8, d.NString, d.Flag, d.Word, d.Tag, d.ListMailbox} {
				if b, ok := f(); ok {
					var e imapwire.Decoder
					e.Reset(imapwire.AppendString(nil, b, true))
					if got, ok := e.String8(); b != nil && strings.IndexByte(string(b), 0) < 0 && (!ok || string(got) != string(b)) {
						t.Fatalf("%q came back as %q", b, got)
					}
				}
			}
			_ = d.Enter() || d.Leave() || d.SP()
			if _, ok := d.Literal(); ok && !d.End() {
				t.Fatal("something follows a literal to come")
			}
			if d.Offset() < was {
				t.Fatal("gone back")
			}
			if d.Offset() == was {
				d.Seek(was + 1)
			}
		}
		if date, ok := imapwire.ParseDateTime(in); ok {
			b := imapwire.AppendDateTime(nil, date)
			again, ok := imapwire.ParseDateTime(b[1 : len(b)-1])
			if !ok || !again.Equal(date) {
				t.Fatalf("%q: %v and %v", in, date, again)
			}
		}
		if date, ok := imapwire.ParseDate(in); ok {
			if again, ok := imapwire.ParseDate(imapwire.AppendDate(nil, date)); !ok || !again.Equal(date) {
				t.Fatalf("%q: %v and %v", in, date, again)
			}
		}
	})
}

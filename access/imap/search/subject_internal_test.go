package search

import "testing"

func TestBaseSubject(t *testing.T) {
	for _, test := range []struct {
		subject, base string
		reply         bool
	}{
		{"", "", false}, {"hello", "hello", false}, {"  hello\t world ", "hello world", false},
		{"Re: hello", "hello", true}, {"re[2]: hello", "re[2]: hello"[7:], true}, {"FW: Fwd :hello", "hello", true}, {"Re [3] : x", "x", true},
		{"[list] Re: hello", "hello", true}, {"[list] hello", "hello", false}, {"[list]", "[list]", false}, {"[a] [b]", "[b]", false}, {"Re: [list]", "[list]", true},
		{"hello (fwd)", "hello", true}, {"hello (FWD) (fwd) ", "hello", true}, {"[fwd: hello]", "hello", true}, {"[Fwd: Re: [x] hello (fwd)]", "hello", true},
		{"Re: Re: Re:", "", true}, {"Reply: no", "Reply: no", false}, {"Re", "Re", false}, {"[fwd:", "[fwd:", false}, {"[[x]] y", "[[x]] y", false}, {"(fwd)", "", true},
	} {
		base, reply := baseSubject([]byte(test.subject))
		if string(base) != test.base || reply != test.reply {
			t.Errorf("%q: %q %v, want %q %v", test.subject, base, reply, test.base, test.reply)
		}
	}
}

func TestParseDate(t *testing.T) {
	for _, test := range []struct {
		value        string
		seconds, day int64
		ok           bool
	}{
		{" Mon, 7 Feb 1994 21:52:25 -0800 (PST)", 760686745, 8803, true}, {"7 feb 94 21:52 PST", 760686720, 8803, true}, {"Thu, 01 Jan 1970 00:00:00 GMT", 0, 0, true},
		{"Wed, 31 Dec 1969 23:59:59 +0000", -1, -1, true}, {"Sat, 28 Nov 2026\r\n 12:00:00 +0100", 1795863600, 20785, true}, {"28 Nov 2026", 1795824000, 20785, true},
		{"28 Nov 2026 25:00 +0100", 1795824000, 20785, true}, {"28 Nov 2026 12:00 Z", 1795867200, 20785, true}, {"(c) 28 (x) Nov 2026 12:00 EDT", 1795881600, 20785, true},
		{"", 0, 0, false}, {"yesterday", 0, 0, false}, {"2026-11-28", 0, 0, false}, {"32 Jan 2020", 0, 0, false}, {"1 Foo 2020", 0, 0, false},
	} {
		d, ok := parseDate([]byte(test.value))
		if ok != test.ok || d.seconds != test.seconds || d.day != test.day {
			t.Errorf("%q: %d %d %v, want %d %d %v", test.value, d.seconds, d.day, ok, test.seconds, test.day, test.ok)
		}
	}
}

func TestAddress(t *testing.T) {
	const env = `("date" {5}` + "\r\n" + `a(")b ((NIL NIL "friends" NIL)("A \"B\"" NIL "a" "x.example")(NIL NIL NIL NIL)) NIL NIL (("C" NIL {3}` + "\r\nc\xe9)" + ` "y.example")) NIL NIL NIL "<id>")`
	for place, want := range map[int][3]string{envelopeFrom: {"", "friends", ""}, envelopeTo: {"C", "c\xe9)", "y.example"}, envelopeCC: {}} {
		var a address
		a.read([]byte(env), place)
		if got := [3]string{string(a.name), string(a.box), string(a.host)}; got != want {
			t.Errorf("%d: %q, want %q", place, got, want)
		}
	}
	for cut := range len(env) { // what is cut anywhere must not break it
		var a address
		a.read([]byte(env[:cut]), envelopeTo)
		if len(a.host) > 0 && string(a.host) != "y.example" && len(a.host) > len("y.example") {
			t.Errorf("cut at %d: %q", cut, a.host)
		}
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "ABCdef 123": "abcdef 123", "\u00c4\u00e4A\u0308": "a\u0308a\u0308a\u0308", "\u017f\u212a": "sk", "\u03a3\u03c3\u03c2": "\u03c3\u03c3\u03c3",
		"\u023a": "\u2c65", "\ufb01x": "fix", "\uac00": "\u1100\u1161", "a\xffB\xc3": "a\xffb\xc3", "\u0130": "i\u0307", "\u00df\u1e9e": "\u00df\u00df",
	} {
		got := string(appendFold([]byte("before"), []byte(in)))
		if got != "before"+want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

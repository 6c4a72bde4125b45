package imaptest

import (
	"bufio"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"* OK [UIDVALIDITY 7] fine\r\n", "* OK [UIDVALIDITY 7]"},
		{"* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n", `* OK [PERMANENTFLAGS (\Seen \*)]`},
		{"a1 NO nothing\r\n", "a1 NO"},
		{"* 3 FETCH (UID 4 BODY[HEADER.FIELDS (A \"b c\")]<0> {3}\r\nx\r\n FLAGS ())\r\n", `* 3 FETCH (UID 4 BODY[HEADER.FIELDS (A "b c")]<0> "x\r\n" FLAGS ())`},
		{"* LIST () \"/\" \"a\\\"b\"\r\n", `* LIST () "/" "a\"b"`},
		{"* SEARCH\r\n", "* SEARCH"},
		{"+ \r\n", "+"},
		{"* 1 FETCH (BINARY[1] ~{2}\r\n\x00\x01)\r\n", `* 1 FETCH (BINARY[1] "\x00\x01")`},
		{"* X (a  b)\r\n", ""},
		{"* X \"a\r\n", ""},
		{"* X (a\r\n", ""},
		{"* X {3}\r\na\x00b\r\n", ""},
		{"* 1 FETCH (a b))\r\n", ""},
	} {
		r, err := Read(bufio.NewReader(strings.NewReader(c.in)))
		if (err != nil) != (c.want == "") || err == nil && r.String() != c.want {
			t.Errorf("%q: got %v, %v, want %q", c.in, r, err, c.want)
		}
	}
}

func TestSets(t *testing.T) {
	set, err := ParseSet("1:3,9,7:5")
	if err != nil || set.Count() != 7 || !set.Contains(6) || set.Contains(8) {
		t.Error(set, err)
	}
	if got := FormatSet(set.Each()); got != "1:3,5:7,9" {
		t.Error(got)
	}
	if _, err := ParseSet("1,*"); err == nil {
		t.Error("a set with *")
	}
}

// The client finds what breaks the rules.
func TestViolations(t *testing.T) {
	for _, c := range []struct{ running, lines string }{
		{"NOOP", "* 2 EXISTS\r\n"},
		{"FETCH", "* 1 EXPUNGE\r\n"},
		{"STORE", "* 1 EXPUNGE\r\n"},
		{"SEARCH", "* 1 EXPUNGE\r\n"},
		{"", "* 1 EXPUNGE\r\n"},
		{"NOOP", "* 4 EXPUNGE\r\n"},
		{"NOOP", "* VANISHED 5\r\n"},
		{"NOOP", "* 4 FETCH (FLAGS ())\r\n"},
		{"NOOP", "* 1 FETCH (UID 6)\r\n"},
		{"NOOP", "* 2 FETCH (UID 9)\r\n"},
		{"NOOP", "* 1 FETCH (MODSEQ (3))\r\n"},
		{"NOOP", "* 1 FETCH (FLAGS)\r\n"},
	} {
		client := &Client{running: c.running, in: bufio.NewReader(strings.NewReader(c.lines))}
		client.Selected = &Selected{Messages: []Message{{UID: 5, ModSeq: 4}, {}, {UID: 9}}}
		r, err := Read(client.in)
		if err == nil {
			err = client.heard(r)
		}
		if err == nil {
			t.Errorf("%q during %q was taken", c.lines, c.running)
		}
	}
}

// What is promised and what is only possible is told apart.
func TestLedger(t *testing.T) {
	l := NewLedger()
	if err := l.Added("b", 1, "text", "k"); err != nil {
		t.Fatal(err)
	}
	there := []Found{{UID: 1, Text: "text", Flags: map[string]bool{"k": true}}}
	plain := []Found{{UID: 1, Text: "text"}}
	check := func(what string, found []Found, from, to int64, want bool) {
		t.Helper()
		if err := l.Check("b", found, from, to); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	now := l.Now()
	check("as it was added", there, now, now, true)
	check("gone", nil, now, now, false)
	check("without the flag", plain, now, now, false)
	check("another text", []Found{{UID: 1, Text: "x", Flags: there[0].Flags}}, now, now, false)
	check("ended before it was acknowledged", nil, 0, 0, true)
	asked := l.Flag("b", []uint32{1}, "k", false)
	now = l.Now()
	check("asked, not done", there, now, now, true)
	check("asked, done", plain, now, now, true)
	l.Given(asked)
	later := l.Now()
	check("given, not done", there, later, later, false)
	check("given after the end", there, now, later, true)
	check("given, done", plain, later, later, true)
	going := l.Gone("b", []uint32{1})
	check("may be gone", nil, l.Now(), l.Now(), true)
	l.Given(going)
	now = l.Now()
	check("is gone", nil, now, now, true)
	check("is still there", plain, now, now, false)
	if err := l.Added("b", 1, "again"); err == nil {
		t.Error("a UID was given twice")
	}
}

// Numbers that a server was to keep do not go back.
func TestNumbers(t *testing.T) {
	l := NewLedger()
	if err := l.Told(&Selected{Name: "b", UIDValidity: 7, HighestModSeq: 5, Messages: []Message{{ModSeq: 9}}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Told(&Selected{Name: "b", UIDValidity: 8}); err == nil {
		t.Error("another UIDVALIDITY was taken")
	}
	if err := l.Added("b", 4, "text"); err != nil {
		t.Fatal(err)
	}
	now := l.Now()
	for _, c := range []struct {
		s    Selected
		from int64
		want bool
	}{
		{Selected{Name: "b", UIDValidity: 7, HighestModSeq: 9, UIDNext: 5}, now, true},
		{Selected{Name: "b", UIDValidity: 7, HighestModSeq: 8, UIDNext: 5}, now, false},
		{Selected{Name: "b", UIDValidity: 7, HighestModSeq: 8, UIDNext: 4}, 0, true},
		{Selected{Name: "b", UIDValidity: 7, HighestModSeq: 9, UIDNext: 4}, now, false},
		{Selected{Name: "b", UIDValidity: 6, HighestModSeq: 9, UIDNext: 5}, now, false},
	} {
		if err := l.CheckNumbers(&c.s, c.from); (err == nil) != c.want {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
}

package imapwire_test

import (
	"strings"
	"testing"
	"time"

	"postrider/access/imapwire"
)

func TestAppend(t *testing.T) {
	for _, c := range []struct{ in, str, astr string }{
		{"", `""`, `""`},
		{"a", `"a"`, "a"},
		{`a"\`, `"a\"\\"`, `"a\"\\"`},
		{"a]", `"a]"`, `"a]"`},
		{"a\r\nb", "{4}\r\na\r\nb", "{4}\r\na\r\nb"},
		{"\xe9", "{1}\r\n\xe9", "{1}\r\n\xe9"},
		{strings.Repeat("x", 5000), "{5000}\r\n" + strings.Repeat("x", 5000), strings.Repeat("x", 5000)},
	} {
		if got := string(imapwire.AppendString(nil, c.in, false)); got != c.str {
			t.Errorf("%.20q as a string: %.40q", c.in, got)
		}
		if got := string(imapwire.AppendAString(nil, []byte(c.in), false)); got != c.astr {
			t.Errorf("%.20q as an astring: %.40q", c.in, got)
		}
	}
	if got := string(imapwire.AppendNString(nil, nil, false)); got != "NIL" {
		t.Error(got)
	}
	if got := string(imapwire.AppendNString(nil, []byte("é"), true)); got != `"é"` {
		t.Error(got)
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string // in UTC; empty: no date
	}{
		{" 1-Feb-1994 22:43:04 -0800", "1994-02-02T06:43:04Z"},
		{"17-Jul-1996 02:44:25 +0000", "1996-07-17T02:44:25Z"},
		{"29-FEB-2024 23:59:60 +0530", "2024-02-29T18:29:59Z"},
		{"29-Feb-2023 00:00:00 +0000", ""},
		{"1-Feb-1994 22:43:04 -0800", ""},
		{"00-Feb-1994 22:43:04 -0800", ""},
		{" 1-Fex-1994 22:43:04 -0800", ""},
		{" 1-Feb-1994 24:43:04 -0800", ""},
		{" 1-Feb-1994 22:43:04 x0800", ""},
		{" 1-Feb-1994 22:43:04 -08:0", ""},
		{" 1-Feb-1994T22:43:04 -0800", ""},
		{"", ""},
	} {
		got, ok := imapwire.ParseDateTime([]byte(c.in))
		if ok != (c.want != "") || ok && got.UTC().Format(time.RFC3339) != c.want {
			t.Errorf("%q: %v, %v", c.in, got, ok)
		}
	}
	for in, want := range map[string]string{
		"1-Feb-1994": "1994-02-01", "01-feb-1994": "1994-02-01", "31-Dec-2026": "2026-12-31",
		"31-Nov-2026": "", "0-Feb-1994": "", "1-Feb-94": "", " 1-Feb-1994": "", "1 Feb 1994": "", "": "",
	} {
		got, ok := imapwire.ParseDate([]byte(in))
		if ok != (want != "") || ok && got.Format(time.DateOnly) != want {
			t.Errorf("%q: %v, %v", in, got, ok)
		}
	}
	at := time.Date(1996, 7, 7, 2, 4, 5, 0, time.FixedZone("", -(7*3600+30*60)))
	if got := string(imapwire.AppendDateTime(nil, at)); got != `" 7-Jul-1996 02:04:05 -0730"` {
		t.Error(got)
	}
	if got := string(imapwire.AppendDate(nil, at)); got != "7-Jul-1996" {
		t.Error(got)
	}
}

// What is done for every command and every name allocates nothing.
func TestAllocWire(t *testing.T) {
	line := []byte(`a1 UID FETCH 1:5,7,9:* (FLAGS) "x" {3}` + "\r\nabc")
	room := make([]byte, 0, 1024)
	var s imapwire.NumSet
	now := time.Now()
	allocs := testing.AllocsPerRun(100, func() {
		var d imapwire.Decoder
		d.Reset(line)
		d.Tag()
		d.SP()
		d.Atom()
		d.SP()
		d.Atom()
		d.SP()
		d.Set(&s)
		room = imapwire.AppendSet(room[:0], s.Resolve(100))
		room = imapwire.AppendMailbox(room, "Entwürfe", false)
		room = imapwire.AppendDateTime(room, now)
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

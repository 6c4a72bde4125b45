package search_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"postrider/access/imap/search"
	"postrider/access/imapwire"
)

// all finds all messages of a view.
func all(t testing.TB, scope *search.Scope) *search.Found {
	t.Helper()
	f := &search.Found{}
	if err := parse(t, "ALL").Run(scope, search.Bound{}, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSort(t *testing.T) {
	w := newWorld(t)
	mk := func(day int, header ...string) letter {
		return letter{received: now.AddDate(0, 0, -day), text: lines(append(header, "", strings.Repeat("x", day*100))...)}
	}
	w.file(t,
		mk(1, "From: zoe@a.example", "To: b@example", "Subject: Re: Beta", "Date: 3 Jan 2026 10:00 +0000"),
		mk(2, "From: \"alan\" <Bob@a.example>", "To: friends: a@example;", "Subject: alpha", "Date: 2 Jan 2026 23:00 -0500"),
		mk(3, "From: =?utf-8?q?=C3=84nne?= <carl@a.example>", "Cc: q@example", "Subject: [x] BETA (fwd)"),
		mk(4, "From: _under@a.example", "Subject: =?utf-8?q?_alpha?=", "Date: 1 Jan 2026 10:00 +0000"),
		mk(0, "Subject: a_b", "Date: 3 Jan 2026 10:00 +0000"),
		mk(0, "Subject: abb", "Date: 3 Jan 2026 10:00 +0000"),
	)
	scope := &search.Scope{View: w.view(t), Now: now}
	for order, want := range map[string]string{
		"(ARRIVAL)":               "4 3 2 1 5 6",
		"(REVERSE ARRIVAL)":       "5 6 1 2 3 4",
		"(REVERSE SIZE)":          "4 3 2 1 5 6",
		"(DATE)":                  "4 2 1 5 6 3",
		"(REVERSE DATE REVERSE X": "",
		"(SUBJECT)":               "6 2 4 5 1 3",
		"(SUBJECT REVERSE DATE)":  "6 2 4 5 3 1",
		"(SUBJECT ARRIVAL)":       "6 4 2 5 3 1",
		"(FROM)":                  "5 6 2 3 1 4",
		"(TO)":                    "3 4 5 6 1 2",
		"(CC SUBJECT CC)":         "6 2 4 5 1 3",
		"(DISPLAYFROM)":           "5 6 2 3 1 4",
		"(DISPLAYTO FROM)":        "5 6 3 4 1 2",
		"()":                      "",
		"(DATE":                   "",
		"(REVERSE)":               "",
	} {
		var d imapwire.Decoder
		d.Reset([]byte(order))
		var o search.Order
		if err := o.Parse(&d); err != nil {
			if want != "" {
				t.Errorf("%s: %v", order, err)
			}
			continue
		}
		got, err := o.Sort(scope, all(t, scope), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i]++
		}
		if s := strings.Trim(fmt.Sprint(got), "[]"); s != want {
			t.Errorf("%s: %s, want %s", order, s, want)
		}
	}
}

// threads tells threads as IMAP does, in pieces of a few octets.
func threads(t testing.TB, a search.Algorithm, scope *search.Scope) string {
	t.Helper()
	th, err := a.Thread(scope, all(t, scope))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	var w search.Walk
	for done := false; !done; {
		out, done = th.Append(out, &w, len(out)+3, func(dst []byte, i uint32) []byte { return strconv.AppendUint(dst, uint64(i)+1, 10) })
	}
	return string(out)
}

func TestThread(t *testing.T) {
	// id, references, subject, in the order of their dates unless "day " is in front
	for _, test := range []struct{ name, mail, references, subject string }{
		{"none", "", "", ""},
		{"chain", "a||s/b|a|Re: s/c|a b|Re: s", "(1 2 3)", "(1 (2)(3))"},
		{"branch", "a||s/b|a|Re: s/c|a|Re: s/d|a b|Re: s", "(1 (2 4)(3))", "(1 (2)(3)(4))"},
		{"missing parent", "b|a|one/c|a|two", "((1)(2))", "(1)(2)"},
		{"missing parent of one", "b|a|one", "(1)", "(1)"},
		{"missing within", "a||s/c|a b|Re: s/d|a b|t", "(1 (2)(3))", "(1 2)(3)"},
		{"missing chain", "c|x y z|one/d|x y|two/e|x|three", "((1)(2)(3))", "(1)(2)(3)"},
		{"by subject", "a||s/b||Re: s/c||s", "((1 2)(3))", "(1 (2)(3))"},
		{"reply first", "b||Re: s/a||s", "(2 1)", "(1 2)"},
		{"two dummies", "a|x|s/b|x|s/c|y|s/d|y|t", "((1)(2)(3)(4))", "(1 (2)(3))(4)"},
		{"empty subjects", "a||/b||", "(1)(2)", "(1 2)"},
		{"same id", "a||s/a||t/b|a|u", "(1 3)(2)", "(1)(2)(3)"},
		{"own parent", "a|a|s", "(1)", "(1)"},
		{"circle", "a|b|s/b|a|t", "(2 1)", "(1)(2)"},
		{"circle of others", "c|a b|s/d|b a|t", "((1)(2))", "(1)(2)"},
		{"by date", "3 a||s/1 b||t/2 c|a|u", "(2)(1 3)", "(2)(3)(1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			for i, m := range strings.Split(test.mail, "/") {
				if m == "" {
					continue
				}
				day := strconv.Itoa(i + 1)
				if before, after, ok := strings.Cut(m, " "); ok && len(before) == 1 && before[0] < 'a' {
					day, m = before, after
				}
				f := strings.Split(m, "|")
				refs := ""
				for _, r := range strings.Fields(f[1]) {
					refs += " <" + r + "@example>"
				}
				w.file(t, letter{text: lines("Message-ID: <"+f[0]+"@example>", "References:"+refs, "Subject: "+f[2], "Date: "+day+" Jan 2026 00:00 +0000", "", "")})
			}
			scope := &search.Scope{View: w.view(t), Now: now}
			if got := threads(t, search.References, scope); got != test.references {
				t.Errorf("REFERENCES: %s, want %s", got, test.references)
			}
			if got := threads(t, search.OrderedSubject, scope); got != test.subject {
				t.Errorf("ORDEREDSUBJECT: %s, want %s", got, test.subject)
			}
		})
	}
}

package search_test

import (
	"testing"

	"postrider/access/imap/search"
	"postrider/access/imapwire"
)

// FuzzProgram parses what a stranger sends, and runs what is a program. What it finds,
// and what it does not, is everything.
//
// Covers HI2.
func FuzzProgram(f *testing.F) {
	for _, keys := range []string{
		"ALL", "OR NOT SEEN (UID 1:*,$ 2)", `HEADER "x" {3}` + "\r\nabc SUBJECT \"\\\"\"", "OR OR 1 2 NOT OR 3 4", "SINCE 1-Feb-1994 SENTBEFORE \"1-Feb-1994\"",
		`MODSEQ "/flags/\\seen" all 7 OLDER 9 EMAILID M1`, "NOT NOT NOT KEYWORD $x", "TEXT a BODY b", "LARGER 9223372036854775807", "(((ALL)))", "* 1:*,*:9",
	} {
		f.Add([]byte(keys))
	}
	w := newWorld(f)
	w.file(f, someMail()...)
	v, err := w.box.View()
	if err != nil {
		f.Fatal(err)
	}
	defer v.Close()
	f.Fuzz(func(t *testing.T, keys []byte) {
		count := func(prefix, suffix string) int {
			var d imapwire.Decoder
			d.Reset(append(append([]byte(prefix), keys...), suffix...))
			var p search.Program
			if err := p.Parse(&d, nil); err != nil {
				return -1
			}
			var f search.Found
			if err := p.Run(&search.Scope{View: v, Now: now}, search.Bound{}, &f); err != nil {
				t.Fatal(err)
			}
			return f.Count
		}
		n := count("", "")
		if n < 0 {
			return
		}
		if m := count("NOT (", ")"); m >= 0 && n+m != v.Len() {
			t.Errorf("%q finds %d, and its contrary %d, of %d", keys, n, m, v.Len())
		}
	})
}

// messagesIn counts the numbers in threads.
func messagesIn(threads string) (n int) {
	before := byte(' ')
	for _, c := range []byte(threads) {
		if c >= '0' && c <= '9' && (before < '0' || before > '9') {
			n++
		}
		before = c
	}
	return n
}

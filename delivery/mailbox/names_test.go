package mailbox

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A name that is taken is in its final form, and could be a path without harm.
func FuzzBoxName(f *testing.F) {
	for _, name := range []string{"inbox", "INBOX/x", "a/../b", "e\u0301", "~root", "\xff", "a\u2028b", strings.Repeat("a/", 40)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := boxName(name)
		if err != nil {
			return
		}
		again, err := boxName(got)
		if err != nil || again != got || !norm.NFC.IsNormalString(got) || !utf8.ValidString(got) || len(got) > maxNameBytes {
			t.Errorf("%q becomes %q, and that %q, %v", name, got, again, err)
		}
		for level := range strings.SplitSeq(got, "/") {
			if level == "" || level == "." || level == ".." || strings.ContainsAny(level, "\x00\r\n") {
				t.Errorf("%q has level %q", got, level)
			}
		}
	})
}

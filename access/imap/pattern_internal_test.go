package imap

import (
	"strings"
	"testing"
)

// slowMatch is what a pattern means, in the plainest words.
func slowMatch(p, name string) bool {
	if p == "" {
		return name == ""
	}
	switch p[0] {
	case '*', '%':
		for i := 0; ; i++ {
			if slowMatch(p[1:], name[i:]) {
				return true
			}
			if i == len(name) || p[0] == '%' && name[i] == '/' {
				return false
			}
		}
	}
	return name != "" && name[0] == p[0] && slowMatch(p[1:], name[1:])
}

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b/c", true}, {"%", "a", true}, {"%", "a/b", false}, {"%/%", "a/b", true}, {"a*", "a/b", true}, {"a%", "a/b", false},
		{"*/c", "a/b/c", true}, {"%/c", "a/b/c", false}, {"a*c", "abc/c", true}, {"a*c", "abcd", false}, {"**a%%", "x/ya", true},
		{"inbox", "INBOX", true}, {"InB%", "INBOX", true}, {"inbox/*", "INBOX/a", true}, {"inbox/A", "INBOX/a", false}, {"inboxes", "INBOX", false},
		{"*x", "INBOX", true}, {"*x", "INBOX/X", false}, {"i*X", "INBOX/X", true}, {"work", "Work", false}, {"", "a", false}, {"%", "ä", true},
		{"*%*%", "a/b", true}, {"%*a", "b/a", true}, {"a", "a/", false}, {"a%", "a", true}, {"a*%", "a", true},
	} {
		if got := newPattern(c.pattern).match(c.name); got != c.want {
			t.Errorf("%q with %q: %v", c.pattern, c.name, got)
		}
	}
	if !newPattern(strings.Repeat("a%", 255)).match(strings.Repeat("a", 255)) || newPattern(strings.Repeat("a*", 256)).match(strings.Repeat("a", 255)) {
		t.Error("the longest pattern does not match, or a longer one does")
	}
	// A pattern that would take any backtracking for ever.
	hostile := newPattern(strings.Repeat("*a%a", 120) + "b")
	if hostile.match(strings.Repeat("a", 255)) {
		t.Error("it matches")
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("*a%/b*", "xa/b/c")
	f.Add("%%*", "inbox")
	f.Fuzz(func(t *testing.T, p, name string) {
		if len(p) > 12 || len(name) > 24 || strings.HasPrefix(name, inboxName) {
			return
		}
		if got, want := newPattern(p).match(name), slowMatch(p, name); got != want {
			t.Errorf("%q with %q: %v", p, name, got)
		}
	})
}

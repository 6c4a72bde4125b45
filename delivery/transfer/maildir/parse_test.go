package maildir

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// White box: the parsers of files that a stranger may have written are not
// reached alone from outside.

func FuzzUIDList(f *testing.F) {
	f.Add([]byte("3 V1 N5 Gx\n1 W1 S1 Pabc Gd :1.a,S=1:2,S\n2 :2.b\n"))
	f.Add([]byte("1 12 5\n1 a\n4294967295 b\n4294967294 c\n"))
	f.Add([]byte("3 V N\n\n:\n1\n1 \n1  :a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := parseUIDList(text)
		seen := make(map[uint32]bool)
		for base, r := range l.records {
			if r.uid == 0 || r.uid >= l.next || seen[r.uid] || l.validity == 0 || base == "" {
				t.Fatalf("%q is %+v, next %d", base, r, l.next)
			}
			seen[r.uid] = true
		}
		parseKeywords(text)
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"Sent/B\u00fcro", "a&b", "x.y", `b\s`, "\U0001f600", "&AC8-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if _, err := decodeName("." + name); err == nil && !utf8.ValidString(name) {
			t.Fatalf("%q was taken", name)
		}
		bad := !utf8.ValidString(name) || strings.ContainsAny(name, "\x00\r\n\ufffd")
		for level := range strings.SplitSeq(name, "/") {
			bad = bad || level == "" || strings.EqualFold(level, "inbox")
		}
		if bad {
			return
		}
		folder := encodeName(name)
		if strings.Contains(folder, "/") {
			t.Fatalf("%q became %q", name, folder)
		}
		if got, err := decodeName(folder); err != nil || got != name {
			t.Fatalf("%q became %q and %q, %v", name, folder, got, err)
		}
	})
}

func TestNames(t *testing.T) {
	for _, bad := range []string{".&AC8-x", ".a..b", ".&x", ".&AAA-", ".&2AA-", ".\xff", ".&AAo-"} {
		if name, err := decodeName(bad); err == nil {
			t.Errorf("%q became %q", bad, name)
		}
	}
	if got, err := decodeName(".inbox.&ZeVnLIqe-"); err != nil || got != "INBOX/日本語" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFormatUIDL(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"%08Xu%08Xv", "0000000a000000ff"}, {"%v.%u", "255.10"}, {"%f", "base"}, {"%g", "guid"}, {"%u%%", "10%"},
		{"%", ""}, {"x%08", "x"}, {"%xv-%5u", "ff-00010"}, {fmt.Sprintf("%%%du", 999), "00000000000000000010"},
	} {
		if got := formatUIDL(c.format, 10, 255, "base", "guid"); got != c.want {
			t.Errorf("%s: %q, want %q", c.format, got, c.want)
		}
	}
}

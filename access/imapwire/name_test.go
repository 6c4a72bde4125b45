package imapwire_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"postrider/access/imapwire"
)

// Names and what they are on the wire of a client that has not enabled UTF-8.
//
// Covers HI6.
func TestMailboxNames(t *testing.T) {
	for _, c := range []struct{ name, encoded, quoted string }{
		{"INBOX", "INBOX", "INBOX"},
		{"a b", "a b", `"a b"`},
		{"&", "&-", "&-"},
		{"a&b&", "a&-b&-", "a&-b&-"},
		{"Entwürfe", "Entw&APw-rfe", "Entw&APw-rfe"},
		{"~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
		{"\U0001f4e7", "&2D3c5w-", "&2D3c5w-"},
		{"é&é", "&AOk-&-&AOk-", "&AOk-&-&AOk-"},
		{`a"b\c`, `a"b\c`, `"a\"b\\c"`},
		{"nil", "nil", `"nil"`},
		{"", "", `""`},
	} {
		if got := string(imapwire.AppendUTF7(nil, c.name)); got != c.encoded {
			t.Errorf("%q is %q, want %q", c.name, got, c.encoded)
		}
		if got := string(imapwire.AppendMailbox(nil, c.name, false)); got != c.quoted {
			t.Errorf("%q is sent as %s, want %s", c.name, got, c.quoted)
		}
		if got, err := imapwire.DecodeMailbox([]byte(c.encoded), false); got != c.name || err != nil {
			t.Errorf("%q is read as %q, %v; want %q", c.encoded, got, err, c.name)
		}
		if got, err := imapwire.DecodeMailbox([]byte(c.name), true); got != c.name || err != nil {
			t.Errorf("%q is read as %q, %v", c.name, got, err)
		}
	}
	if got := string(imapwire.AppendMailbox(nil, "Entwürfe", true)); got != `"Entwürfe"` {
		t.Error(got)
	}
}

// What is not the one form of a name is none.
//
// Covers HI6.
func TestMailboxNamesRefused(t *testing.T) {
	for _, in := range []string{
		"&", "a&b", "&AOk", "&A-", "&AO-", "&AOl-", "&AOkA-", // not finished, or bits that are not 0
		"&AC8-", "&AC4-", "&AEEAQg-", "&ACY-", // ASCII, "/" and "." among it
		"&AOk-&AOk-",                 // two shifts where one would do
		"&2D0-", "&3Oc-", "&2D0AYQ-", // half a pair
		"&AOk=-", "&AO/-", "&AO k-", "Entw\xc3\xbcrfe", "a\x00b", "a\r\nb", "a\x7fb",
	} {
		if got, err := imapwire.DecodeMailbox([]byte(in), false); err == nil {
			t.Errorf("%q is read as %q", in, got)
		}
	}
	if _, err := imapwire.DecodeMailbox([]byte("a\xffb"), true); err == nil {
		t.Error("not UTF-8")
	}
}

// A name that is read is written as it came, and one that is written is read as it was.
func FuzzMailboxName(f *testing.F) {
	for _, s := range []string{"&AOk-", "a&-b", "&2D3c5w-", "&U,BTFw-", "x/y", "&ACY-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if name, err := imapwire.DecodeMailbox([]byte(in), false); err == nil {
			if !utf8.ValidString(name) {
				t.Fatalf("%q is read as %q", in, name)
			}
			if got := string(imapwire.AppendUTF7(nil, name)); got != in {
				t.Fatalf("%q is read as %q, written %q", in, name, got)
			}
		}
		if !utf8.ValidString(in) || strings.ContainsFunc(in, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return
		}
		var d imapwire.Decoder
		d.Reset(imapwire.AppendMailbox(nil, in, false))
		b, ok := d.AString()
		if !ok || !d.End() {
			t.Fatalf("%q is no astring", in)
		}
		if got, err := imapwire.DecodeMailbox(b, false); got != in || err != nil {
			t.Fatalf("%q came back as %q, %v", in, got, err)
		}
	})
}

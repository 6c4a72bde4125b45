package imap

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		text string
		want messageURL
		good bool
	}{
		{"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", messageURL{mailbox: "Drafts", validity: 385759045, uid: 20, section: "HEADER"}, true},
		{"/INBOX;UIDVALIDITY=785799047/;UID=11467", messageURL{mailbox: "INBOX", validity: 785799047, uid: 11467}, true},
		{"/Drafts/;UID=3002", messageURL{mailbox: "Drafts", uid: 3002}, true},
		{"/a/b%20c/;UID=1/;SECTION=1.2", messageURL{mailbox: "a/b c", uid: 1, section: "1.2"}, true},
		{"/;UID=7/;section=1.MIME", messageURL{uid: 7, section: "1.MIME"}, true},
		{";UID=7/;PARTIAL=10.20", messageURL{uid: 7, partial: true, offset: 10, length: 20}, true},
		{";UID=7/;section=1/;partial=10", messageURL{uid: 7, section: "1", partial: true, offset: 10}, true},
		{"/%C3%A4;UIDVALIDITY=1/;UID=1", messageURL{mailbox: "ä", validity: 1, uid: 1}, true},
		{text: "imap://host/INBOX;UID=1"}, {text: "/INBOX"}, {text: "/INBOX;UID=0"}, {text: "/INBOX;UID=01"}, {text: "/INBOX;UID=4294967296"},
		{text: "/INBOX;UIDVALIDITY=1"}, {text: "/INBOX;UIDVALIDITY=1;UID=2"}, {text: "/INBOX;UID=1/;section="}, {text: "/INBOX;UID=1/;partial=1.0"},
		{text: "/INBOX;UID=1;EXPIRE=2026-01-01T00:00:00Z"}, {text: "/INBOX;UID=1/;section=1;URLAUTH=anonymous"}, {text: "/IN%0ABOX;UID=1"},
		{text: "/IN%FFBOX;UID=1"}, {text: "/IN%4;UID=1"}, {text: "/IN%+4X;UID=1"}, {text: "/a?b;UID=1"}, {text: ""}, {text: strings.Repeat("x", maxURL) + ";UID=1"},
	} {
		got, good := parseURL(c.text)
		if good != c.good || good && got != c.want {
			t.Errorf("%.60q: %+v, %v", c.text, got, good)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER/;PARTIAL=0.9")
	f.Add(";UID=7")
	f.Fuzz(func(t *testing.T, text string) {
		u, good := parseURL(text)
		if !good {
			return
		}
		if u.uid == 0 || u.offset < 0 || u.length < 0 || len(u.mailbox)+len(u.section) > len(text) || strings.ContainsAny(u.mailbox+u.section, "\r\n\x00") {
			t.Errorf("%q: %+v", text, u)
		}
	})
}

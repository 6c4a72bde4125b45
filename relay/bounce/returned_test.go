package bounce_test

import (
	"bytes"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/bounce"
)

// What is returned of a message, and how it is encoded.
// Covers HB3.
func TestReturned(t *testing.T) {
	const header = "From: a@example.org\r\nSubject: x\r\n"
	big := header + "\r\n" + strings.Repeat("0123456789\r\n", 10_000)
	long := header + "X: " + strings.Repeat("y", 2000) + "\r\n\r\nbody\r\n"
	tests := []struct {
		name       string
		text       bounce.Original
		change     func(*mail.Envelope)
		kind       string // of the third part; "": none
		encoding   string
		want       string // the decoded part
		wide       bool   // the notice needs 8BITMIME
		headerOnly bool
	}{
		{"header", original(plain), func(e *mail.Envelope) { e.Return = mail.ReturnHeaders }, "text/rfc822-headers", "7bit", strings.TrimSuffix(plain, "\r\nthe body\r\n"), false, true},
		{"unset", original(plain), func(e *mail.Envelope) { e.Return = mail.ReturnUnset }, "text/rfc822-headers", "7bit", strings.TrimSuffix(plain, "\r\nthe body\r\n"), false, true},
		{"full", original(plain), nil, "message/rfc822", "7bit", plain, false, false},
		{"requiretls", original(plain), func(e *mail.Envelope) { e.RequireTLS = true }, "text/rfc822-headers", "7bit", strings.TrimSuffix(plain, "\r\nthe body\r\n"), false, true},
		{"too large", original(big), nil, "text/rfc822-headers", "7bit", header, false, true},
		{"8 bits", original(header + "\r\nb\xe9\r\n"), nil, "message/rfc822", "8bit", header + "\r\nb\xe9\r\n", true, false},
		{"no CRLF at the end", original(header + "\r\nbody"), nil, "message/rfc822", "7bit", header + "\r\nbody\r\n", false, false},
		{"long lines", original(long), nil, "text/rfc822-headers", "quoted-printable", strings.TrimSuffix(long, "\r\nbody\r\n"), false, true},
		{"bare CR and NUL", original(header + "X: a\rBcc: b\x00\r\n\r\n"), nil, "text/rfc822-headers", "quoted-printable", header + "X: a\r\nBcc: b\x00\r\n", false, true},
		{"8-bit header", original("Subject: \xe9\r\n\r\n"), func(e *mail.Envelope) { e.Return = mail.ReturnHeaders }, "text/rfc822-headers", "quoted-printable", "Subject: \xe9\r\n", false, true},
		{"UTF-8 header", original("Subject: é\r\n\r\n"), func(e *mail.Envelope) { e.Return, e.SMTPUTF8 = mail.ReturnHeaders, true }, "message/global-headers", "quoted-printable", "Subject: é\r\n", false, true},
		{"UTF-8 message", original("Subject: é\r\n\r\né\r\n"), func(e *mail.Envelope) { e.SMTPUTF8 = true }, "message/global", "base64", "Subject: é\r\n\r\né\r\n", false, false},
		{"damaged", damaged{original(plain)}, nil, "text/rfc822-headers", "7bit", strings.TrimSuffix(plain, "\r\nthe body\r\n"), false, true},
		{"unreadable", unreadable{original(plain)}, nil, "", "", "", false, false},
		{"nothing", nil, nil, "", "", "", false, false},
		{"no header", original("\r\nbody\r\n"), func(e *mail.Envelope) { e.Return = mail.ReturnHeaders }, "text/rfc822-headers", "7bit", "\r\n", false, true},
		{"empty", original(""), func(e *mail.Envelope) { e.Return = mail.ReturnHeaders }, "", "", "", false, false},
		{"no field at all", original("just words\r\nmore\r\n"), func(e *mail.Envelope) { e.Return = mail.ReturnHeaders }, "", "", "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := notice(bounce.Failure, "a@example.org", "b@example.net")
			n.Original = tt.text
			env(n).Return = mail.ReturnFull
			if tt.change != nil {
				tt.change(env(n))
			}
			r, c, raw := compose(t, n)
			if c.EightBit != tt.wide || c.SMTPUTF8 {
				t.Errorf("%+v", c)
			}
			if tt.kind == "" {
				if len(r.kinds) != 2 || strings.Contains(r.text, "attached") {
					t.Errorf("%v\n%s", r.kinds, r.text)
				}
				return
			}
			if len(r.kinds) != 3 || r.kinds[2] != tt.kind || r.bodies[2] != tt.want {
				t.Errorf("%v: %q", r.kinds, r.bodies[len(r.bodies)-1])
			}
			if !bytes.Contains(raw, []byte("Content-Type: "+tt.kind)) || !bytes.Contains(raw, []byte("Content-Transfer-Encoding: "+tt.encoding+"\r\n")) {
				t.Errorf("not %s\n%s", tt.encoding, raw)
			}
			if tt.headerOnly != strings.Contains(r.text, "without its text") {
				t.Errorf("%s", r.text)
			}
		})
	}
}

// A header of 10 MB is cut at a line, and never fills a notice.
// Covers HB3.
func TestHugeHeader(t *testing.T) {
	for name, line := range map[string]string{
		"plain":    "X-Filler: " + strings.Repeat("y", 60) + "\r\n",
		"8 bits":   "X-Filler: " + strings.Repeat("\xff", 60) + "\r\n",
		"one line": "X-Filler: " + strings.Repeat("y", 100_000) + "\r\n",
	} {
		n := notice(bounce.Failure, "a@example.org", "b@example.net")
		text := "Subject: first\r\n" + strings.Repeat(line, 10<<20/len(line)) + "\r\nbody\r\n"
		n.Original = original(text)
		env(n).Return = mail.ReturnFull
		r, _, raw := compose(t, n)
		if len(raw) > bounce.MaxBytes || len(r.bodies[2]) > bounce.MaxReturnedHeader {
			t.Errorf("%s: %d bytes, of which %d are returned", name, len(raw), len(r.bodies[2]))
		}
		if !strings.HasPrefix(r.bodies[2], "Subject: first\r\n") || !strings.HasSuffix(r.bodies[2], "\r\n") {
			t.Errorf("%s: %.100q", name, r.bodies[2])
		}
	}
}

// Addresses and messages beyond ASCII (RFC 6533).
// Covers B1.
func TestUTF8(t *testing.T) {
	const to, orcpt = "jörg@example.net", `utf-8;j\x{F6}rg@example.net`
	n := notice(bounce.Failure, "a@example.org", to)
	env(n).SMTPUTF8 = true
	env(n).Recipients[0].Original = []byte(orcpt)
	n.Recipients[0].Status.Text = []byte("no Jörg \u202e here \xff")
	r, c, raw := compose(t, n)
	if c.EightBit || c.SMTPUTF8 || r.kinds[1] != "message/delivery-status" || !ascii(raw) {
		t.Errorf("%+v %v", c, r.kinds)
	}
	checkFields(t, r.persons[0], map[string]string{
		"Original-Recipient": `utf-8; j\x{F6}rg@example.net`, "Final-Recipient": `utf-8; j\x{F6}rg@example.net`, "Action": "failed", "Status": "5.1.1",
		"Remote-MTA": "dns; mx.example.net", "Diagnostic-Code": "smtp; 550 5.1.1 no J?rg ? here ?", "Last-Attempt-Date": "Tue, 14 Nov 2023 22:23:20 +0000",
	})
	if !strings.Contains(r.text, "<jörg@example.net>") || r.params[0]["charset"] != "utf-8" {
		t.Errorf("%s", r.text)
	}

	n = notice(bounce.Failure, "żaba@example.org", to)
	n.Original = original("Subject: żaba\r\n\r\nżaba\r\n")
	env(n).SMTPUTF8, env(n).Return = true, mail.ReturnFull
	env(n).Recipients[0].Original = []byte("utf-8;jörg@example.net")
	n.Recipients[0].Status.Text = []byte("no Jörg here")
	r, c, _ = compose(t, n)
	if !c.EightBit || !c.SMTPUTF8 || strings.Join(r.kinds[1:], " ") != "message/global-delivery-status message/global" {
		t.Errorf("%+v %v", c, r.kinds)
	}
	if r.header.Get("To") != "<żaba@example.org>" || r.header.Get("Content-Transfer-Encoding") != "8bit" {
		t.Errorf("%v", r.header)
	}
	p := r.persons[0]
	if p.Get("Final-Recipient") != "utf-8; jörg@example.net" || p.Get("Original-Recipient") != "utf-8; jörg@example.net" ||
		p.Get("Diagnostic-Code") != "smtp; 550 5.1.1 no Jörg here" {
		t.Errorf("%v", p)
	}
	env(n).Return = mail.ReturnHeaders
	if r, _, _ = compose(t, n); r.kinds[2] != "message/global-headers" || r.bodies[2] != "Subject: żaba\r\n" {
		t.Errorf("%v %q", r.kinds, r.bodies[2])
	}
}

func ascii(s []byte) bool {
	for _, c := range s {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

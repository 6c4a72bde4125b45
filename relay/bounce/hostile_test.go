package bounce_test

import (
	"bytes"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/bounce"
)

// Texts that want to become fields, lines or parts of a notice. compose checks
// that they do not.
// Covers HB3, HB4.
func TestHostile(t *testing.T) {
	evil := []string{
		"no\r\nBcc: victim@example.com\r\n\r\nbody", "\r\n\r\n--x\r\n", "a\x00b\x7f\x1b[2J", "\u2028Bcc: x\u2029\u0085", strings.Repeat("x", 5000),
		strings.Repeat("x ", 5000), "  ", "(\"unclosed", "=?utf-8?q?=0D=0ABcc:_x?=", "\xff\xfe", strings.Repeat("ż", 3000), "\"\r\nRCPT TO:<x@example.com>",
	}
	for _, text := range evil {
		for _, sender := range []string{"a@example.org", "żaba@example.org"} {
			n := notice(bounce.Failure, sender, "b@example.net")
			n.Recipients[0].Status.Text = []byte(text)
			n.Recipients[0].Remote = text
			env(n).EnvelopeID = []byte(text)
			env(n).Recipients[0].Original = []byte("rfc822;" + text)
			n.Original = original("Subject: " + text + "\r\nMessage-ID: <" + text + "@x>\r\n\r\n")
			r, _, _ := compose(t, n)
			if r.persons[0].Get("Bcc") != "" || r.about.Get("Bcc") != "" || r.header.Get("Bcc") != "" {
				t.Errorf("%q became a field", text)
			}
			if strings.ContainsAny(r.header.Get("Subject"), "\r\n") {
				t.Errorf("%q is in the subject", text)
			}
		}
	}
}

// A quoted local part with spaces, or with what looks like a command, is one
// value.
// Covers HB4.
func TestQuotedAddresses(t *testing.T) {
	for _, address := range []string{`"a b  c"@example.net`, `"RCPT TO:<x>"@example.net`, `"a\"b\\c"@example.net`, `"<>"@example.net`, strings.Repeat("l", 64) + "@" + strings.Repeat("d", 63) + ".example"} {
		n := notice(bounce.Failure, address, address)
		r, _, _ := compose(t, n)
		if got := r.persons[0].Get("Final-Recipient"); got != "rfc822; "+address {
			t.Errorf("%s: %s", address, got)
		}
		if got := r.header.Get("To"); got != "<"+address+">" {
			t.Errorf("%s: %s", address, got)
		}
	}
}

func FuzzCompose(f *testing.F) {
	f.Add([]byte("no such user"), []byte(plain), []byte("rfc822;x+20y@example.net"), []byte("mx.example.net"), []byte("a@example.org"), uint16(0))
	f.Add([]byte("\r\nBcc: x\r\n\r\n--=_"), []byte("Subject: =?utf-8?q?=0D=0AX?=\r\nMessage-ID: <\r\n>\r\n\r\n\xff"), []byte("utf-8;\xff"), []byte("\n"), []byte("\xc5\xbc@example.org"), uint16(0xffff))
	f.Add([]byte("x\x00"), []byte("X:\r\n y\r\n\r\n.\r\n"), []byte(";"), []byte(""), []byte("\"a b\"@example.org"), uint16(0x1234))
	templates, err := bounce.Builtin()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, body, orcpt, remote, sender []byte, flags uint16) {
		from, err := mail.ParseAddress(bytes.Clone(sender), true)
		if err != nil { // a session lets no other through
			return
		}
		n := notice(bounce.Kind(flags%5), from.String(), "b@example.net", "ü@example.net")
		n.Templates = templates
		n.Original = original(body)
		e := env(n)
		e.Return, e.SMTPUTF8, e.RequireTLS, e.EightBit = mail.Return(flags>>4%3), flags&8 != 0, flags&0x100 != 0, true
		e.EnvelopeID = orcpt
		e.Recipients[0].Original, e.Recipients[1].Original = orcpt, append([]byte("rfc822;"), orcpt...)
		r := &n.Recipients[flags>>9%2]
		r.Status = mail.Status{Code: 400 + flags%200, Enhanced: mail.Enhanced{Class: uint8(flags % 6), Subject: flags % 1000, Detail: flags / 66}, Text: text}
		r.Remote, r.Class = string(remote), mail.Class(flags%uint16(mail.NumClasses))
		got, c, _ := compose(t, n)
		if c.Recipients != 2 || got.header.Get("Auto-Submitted") != "auto-replied" {
			t.Fatalf("%+v %v", c, got.header)
		}
	})
}

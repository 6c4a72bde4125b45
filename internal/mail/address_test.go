package mail_test

import (
	"errors"
	"strings"
	"testing"

	"postrider/internal/mail"
)

// Covers HB4.
func TestParseAddress(t *testing.T) {
	long := strings.Repeat("a", 60)
	for _, c := range []struct {
		text string
		utf8 bool
		want string // canonical form, or ""
		err  error
	}{
		{"User.Name+tag@Far.Example", false, "User.Name+tag@far.example", nil},
		{`"user"@far.example`, false, "user@far.example", nil},
		{`"a b"@far.example`, false, `"a b"@far.example`, nil},
		{`"a\"\b\\c"@far.example`, false, `"a\"b\\c"@far.example`, nil},
		{`"a@b"@far.example`, false, `"a@b"@far.example`, nil},
		{"u@[192.0.2.1]", false, "u@[192.0.2.1]", nil},
		{"u@[ipv6:2001:DB8::1]", false, "u@[IPv6:2001:db8::1]", nil},
		{"u%ext@far.example", false, "u%ext@far.example", nil},
		{"ext!u@far.example", false, "ext!u@far.example", nil},
		{"u@localhost", false, "u@localhost", nil},
		{"u@_dmarc.far.example", false, "u@_dmarc.far.example", nil},
		{"ü@fär.example", true, "ü@fär.example", nil},
		{"ü@far.example", false, "", mail.ErrAddressUTF8},
		{"u@far.example\xff", true, "", mail.ErrAddress},
		{"u\u2028@far.example", true, "", mail.ErrAddress},
		{"u\u0085@far.example", true, "", mail.ErrAddress},
		{"", false, "", mail.ErrAddress},
		{"u", false, "", mail.ErrAddress},
		{"@far.example", false, "", mail.ErrAddress},
		{`""@far.example`, false, "", mail.ErrAddress},
		{`"a@far.example`, false, "", mail.ErrAddress},
		{`"a"b@far.example`, false, "", mail.ErrAddress},
		{"\"a\r\nRCPT TO\"@far.example", false, "", mail.ErrAddress},
		{"\"a\\\x00\"@far.example", false, "", mail.ErrAddress},
		{".@far.example", false, "", mail.ErrAddress},
		{"a..b@far.example", false, "", mail.ErrAddress},
		{"a b@far.example", false, "", mail.ErrAddress},
		{"a\x00@far.example", false, "", mail.ErrAddress},
		{"<a>@far.example", false, "", mail.ErrAddress},
		{"u@ext@[192.0.2.1]", false, "", mail.ErrAddressDomain},
		{"u@far.example(comment)", false, "", mail.ErrAddressDomain},
		{"u@far.example.", false, "", mail.ErrAddressDomain},
		{"u@far%00.example", false, "", mail.ErrAddressDomain},
		{"u@127.1", false, "", mail.ErrAddressDomain},
		{"u@-a.example", false, "", mail.ErrAddressDomain},
		{"u@a-.example", false, "", mail.ErrAddressDomain},
		{"u@a..example", false, "", mail.ErrAddressDomain},
		{"u@", false, "", mail.ErrAddressDomain},
		{"u@[192.0.2]", false, "", mail.ErrAddressDomain},
		{"u@[", false, "", mail.ErrAddressDomain},
		{"u@[IPv6:fe80::1%eth0]", false, "", mail.ErrAddressDomain},
		{"u@" + strings.Repeat("a", 63) + ".example", false, "u@" + strings.Repeat("a", 63) + ".example", nil},
		{"u@" + strings.Repeat("a", 64) + ".example", false, "", mail.ErrAddressDomain},
		{"u@" + long + "." + long + "." + long + "." + long + ".example", false, "u@" + long + "." + long + "." + long + "." + long + ".example", nil},
		{"u12@" + long + "." + long + "." + long + "." + long + ".abcdef", false, "u12@" + long + "." + long + "." + long + "." + long + ".abcdef", nil},
		{strings.Repeat("u", 246) + "@a.examp", false, strings.Repeat("u", 246) + "@a.examp", nil},
		{strings.Repeat("u", 246) + "@a.exampl", false, "", mail.ErrAddressLong},
	} {
		in := []byte(c.text)
		a, err := mail.ParseAddress(in, c.utf8)
		if !errors.Is(err, c.err) || a.String() != c.want && c.want != "" {
			t.Errorf("%q: %q, %v; want %q, %v", c.text, a, err, c.want, c.err)
		}
		if err != nil && string(in) != c.text {
			t.Errorf("%q: rewritten though refused", c.text)
		}
	}
}

// What was parsed, written and parsed again must be the same, and hold nothing
// that could end a line or a path.
//
// Covers HB4.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{`a@b`, `"a\"b"@c.d`, `ü@ö`, `a@[IPv6:::1]`, `"<>"@x`} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, allow bool) {
		a, err := mail.ParseAddress([]byte(s), allow)
		if err != nil {
			return
		}
		text := a.String()
		if strings.ContainsAny(text, "\r\n\x00") || len(text) > len(s) && len(text) > 2*mail.MaxAddressLen {
			t.Errorf("%q gave %q", s, text)
		}
		b, err := mail.ParseAddress([]byte(text), allow)
		if err != nil || string(b.Local) != string(a.Local) || string(b.Domain) != string(a.Domain) {
			t.Errorf("%q gave %q, which gave %q, %v", s, text, b, err)
		}
	})
}

func TestParseAddressAllocatesNothing(t *testing.T) {
	text := []byte("sender@client.example")
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		a, err := mail.ParseAddress(text, false)
		if err != nil {
			t.Fatal(err)
		}
		dst = a.AppendText(dst[:0])
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

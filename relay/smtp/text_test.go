package smtp_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// slowText is what a TextReader must find in s, octet by octet: the text, where
// it ended (-1: not yet), and whether a CR or LF stood alone or a NUL was there.
func slowText(s string, chunk, normalize bool) (text string, end int, bare, nul bool) {
	var b strings.Builder
	line := true
	for i := 0; i < len(s); i++ {
		switch {
		case !chunk && line && strings.HasPrefix(s[i:], ".\r\n"):
			return b.String(), i + 3, bare, nul
		case !chunk && line && s[i] == '.':
			line = false
			continue
		case strings.HasPrefix(s[i:], "\r\n"):
			b.WriteString("\r\n")
			line = true
			i++
			continue
		case s[i] == '\r' || s[i] == '\n':
			if normalize {
				b.WriteString("\r\n")
				line = false
				continue
			}
			bare = true
		case s[i] == 0:
			nul = true
		}
		b.WriteByte(s[i])
		line = false
	}
	return b.String(), -1, bare, nul
}

// readText runs a TextReader over s cut into pieces.
func readText(t *testing.T, s string, chunk, normalize bool, piece func() int) (text string, end int, r smtp.TextReader) {
	r = smtp.TextReader{Chunk: chunk, Normalize: normalize}
	var got []byte
	for used := 0; used < len(s); {
		p := []byte(s[used:min(len(s), used+piece())])
		for idle := 0; len(p) > 0; {
			part, n, over := r.Next(p)
			got = append(got, part...)
			used += n
			p = p[n:]
			if over {
				return string(got), used, r
			}
			if idle++; n > 0 {
				idle = 0
			}
			if idle > 2 {
				t.Fatalf("no progress at %d of %q", used, s)
			}
		}
	}
	if chunk {
		got = append(got, r.Finish()...)
	}
	return string(got), -1, r
}

func checkText(t *testing.T, s string, chunk, normalize bool, piece func() int) {
	t.Helper()
	want, wantEnd, bare, nul := slowText(s, chunk, normalize)
	got, end, r := readText(t, s, chunk, normalize, piece)
	if end != wantEnd || r.NUL != nul {
		t.Fatalf("%q: ended at %d, NUL %v; want %d, %v", s, end, r.NUL, wantEnd, nul)
	}
	if end < 0 && !chunk {
		// The last octets may be held back, and whether a CR is bare is not known yet.
		if !strings.HasSuffix(s, "\r") && r.Bare != bare {
			t.Fatalf("%q: bare %v", s, r.Bare)
		}
		return
	}
	if r.Bare != bare || !bare && got != want {
		t.Fatalf("%q chunk %v normalize %v: text %q, bare %v; want %q, %v", s, chunk, normalize, got, r.Bare, want, bare)
	}
}

// Every string of up to six of the octets that matter, whole and octet by octet.
//
// Covers HS1, R15.
func TestTextExhaustively(t *testing.T) {
	const alphabet = "\r\n.x"
	for length := 1; length <= 7; length++ {
		for n := range 1 << (2 * length) {
			b := make([]byte, length)
			for i := range b {
				b[i] = alphabet[n>>(2*i)&3]
			}
			for mode := range 4 {
				chunk, normalize := mode&1 != 0, mode&2 != 0
				checkText(t, string(b), chunk, normalize, func() int { return length })
				checkText(t, string(b), chunk, normalize, func() int { return 1 })
				checkText(t, string(b), chunk, normalize, func() int { return 3 })
			}
		}
	}
}

// Covers HS1, HS10, R15.
func FuzzText(f *testing.F) {
	f.Add("a\r\n..b\r\n.\r\nMAIL", uint64(1), false, false)
	f.Add("a\n.\n\r.\r\r\n.\r\r\n\x00", uint64(2), false, true)
	f.Add(".\r\n.\r", uint64(3), true, false)
	f.Fuzz(func(t *testing.T, s string, seed uint64, chunk, normalize bool) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		checkText(t, s, chunk, normalize, func() int { return 1 + rnd.IntN(9) })
		checkText(t, s, chunk, normalize, func() int { return len(s) })
	})
}

// Whatever a line holds, the parsers take or refuse it without a panic, and what
// they take obeys their limits.
//
// Covers HS4, HS9, HS10.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(`MAIL FROM:<@a,@b:"x>"@c.d> SIZE=1 BODY=8BITMIME RET=HDRS ENVID=a+2B SMTPUTF8`))
	f.Add([]byte("RCPT TO:<postmaster> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b"))
	f.Add([]byte("BDAT 18446744073709551616 LAST"))
	f.Fuzz(func(t *testing.T, line []byte) {
		verb, arg := smtp.ParseCommand(line)
		if len(arg) > len(line) || verb.String() == "" {
			t.Fatal(verb, arg)
		}
		if n, _, ok := smtp.ParseBdat(arg); ok && n < 0 {
			t.Error(n)
		}
		var m smtp.MailParams
		if a, s := smtp.ParseMail(bytes.Clone(arg), &m); s.IsZero() {
			if m.Size < 0 || len(m.EnvelopeID) > smtp.MaxEnvelopeID || bytes.ContainsAny(a.AppendText(nil), "\r\n\x00") {
				t.Errorf("%q %+v", a, m)
			}
		} else if !s.Permanent() || s.Enhanced.Class != 5 {
			t.Error(s)
		}
		var r smtp.RcptParams
		if a, s := smtp.ParseRcpt(bytes.Clone(arg), true, &r); s.IsZero() {
			if len(r.Original) > smtp.MaxOriginal || a.IsNull() || r.Notify&mail.NotifyNever != 0 && r.Notify != mail.NotifyNever {
				t.Errorf("%q %+v", a, r)
			}
		}
		smtp.ValidHelo(arg)
	})
}

// A server's list of extensions is read back as it was written.
//
// Covers R19.
func TestExtensionsRoundTrip(t *testing.T) {
	e := smtp.Extensions{
		Set: smtp.Pipelining | smtp.Size | smtp.EightBitMIME | smtp.SMTPUTF8 | smtp.EnhancedStatusCodes |
			smtp.Chunking | smtp.DSN | smtp.StartTLS | smtp.LimitsExt | smtp.Auth,
		MaxSize: 1000, MaxRcpts: 5, MaxMails: 7, AuthText: []byte("PLAIN LOGIN"),
	}
	text := string(e.AppendReply(nil, "mx.example"))
	var got smtp.Extensions
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
	for i, line := range lines {
		if last := i == len(lines)-1; line[:3] != "250" || (line[3] == ' ') != last {
			t.Errorf("line %q", line)
		}
		if i > 0 {
			got.Add([]byte(strings.ToLower(line[4:])))
		}
	}
	if got.Set != e.Set || got.MaxSize != 1000 || got.MaxRcpts != 5 || got.MaxMails != 7 || string(got.AuthText) != "plain login" {
		t.Errorf("%+v from %q", got, text)
	}
	for _, bad := range []string{"SIZE x", "LIMITS RCPTMAX=0 MAILMAX=01 RCPTMAX=1000000 RCPTMAX", "FROB 1", ""} {
		var e smtp.Extensions
		e.Add([]byte(bad))
		if e.MaxSize != 0 || e.MaxRcpts != 0 || e.MaxMails != 0 {
			t.Errorf("%q gave %+v", bad, e)
		}
	}
}

func BenchmarkText(b *testing.B) {
	text := bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 200)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var r smtp.TextReader
		r.Next(text)
	}
}

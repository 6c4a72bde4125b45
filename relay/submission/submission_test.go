package submission_test

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/submission"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.FixedZone("", 3600))

// through sends a text in pieces of step octets.
func through(h *submission.Header, m *submission.Message, text string, step int) (string, mail.Status) {
	h.Reset(m)
	var b strings.Builder
	out := func(p []byte) mail.Status { b.Write(p); return mail.Status{} }
	for rest := text; rest != ""; {
		n := min(step, len(rest))
		if s := h.Write([]byte(rest[:n]), out); !s.IsZero() {
			return b.String(), s
		}
		rest = rest[n:]
	}
	s := h.Finish(out)
	return b.String(), s
}

func owns(address []byte) bool {
	return string(address) == "me@here.example" || bytes.HasSuffix(address, []byte("@mine.example"))
}

func message() *submission.Message {
	return &submission.Message{ID: mail.MakeID(1, 2, 3, 4), Hostname: "mx.example", Time: noon, From: []byte("me@here.example"), Mend: true, Owns: owns}
}

// What a mail program left out is added at the header's end, whatever the pieces the
// text comes in; nothing else changes.
//
// Covers R24.
func TestMending(t *testing.T) {
	id := "Message-ID: <" + mail.MakeID(1, 2, 3, 4).String() + "@mx.example>\r\n"
	const date, from = "Date: Sun, 22 Nov 2026 12:00:00 +0100\r\n", "From: me@here.example\r\n"
	for name, c := range map[string]struct{ in, header, body string }{
		"nothing":          {"", date + from + id, ""},
		"only a body":      {"hello\r\n", date + from + id + "\r\n", "hello\r\n"},
		"an empty header":  {"\r\nhello\r\n", date + from + id, "\r\nhello\r\n"},
		"no date":          {"From: me@here.example\r\nMessage-ID: <a@b>\r\n\r\nx\r\n", "From: me@here.example\r\nMessage-ID: <a@b>\r\n" + date, "\r\nx\r\n"},
		"no id":            {"date : x\r\nFROM:me@here.example\r\n\r\nMessage-ID: y\r\n", "date : x\r\nFROM:me@here.example\r\n" + id, "\r\nMessage-ID: y\r\n"},
		"whole":            {"Date: x\r\nMessage-Id: y\r\nFrom: me@here.example\r\n\r\n", "Date: x\r\nMessage-Id: y\r\nFrom: me@here.example\r\n", "\r\n"},
		"folded":           {"Subject: a\r\n Date: b\r\n\tFrom: c\r\n\r\n", "Subject: a\r\n Date: b\r\n\tFrom: c\r\n" + date + from + id, "\r\n"},
		"no empty line":    {"Subject: a\r\nDate: x\r\n", "Subject: a\r\nDate: x\r\n" + from + id, ""},
		"no line end":      {"Subject: a", "Subject: a\r\n" + date + from + id, ""},
		"garbage":          {"Subject: a\r\nno field\r\nDate: b\r\n", "Subject: a\r\n" + date + from + id + "\r\n", "no field\r\nDate: b\r\n"},
		"a fold at first":  {" x\r\nDate: b\r\n", date + from + id + "\r\n", " x\r\nDate: b\r\n"},
		"a half name":      {"Subject: a\r\nDate", "Subject: a\r\n" + date + from + id + "\r\n", "Date"},
		"a long name":      {strings.Repeat("x", 600) + ": y\r\n", date + from + id + "\r\n", strings.Repeat("x", 600) + ": y\r\n"},
		"a name that fits": {strings.Repeat("x", 500) + ": y\r\n\r\n", strings.Repeat("x", 500) + ": y\r\n" + date + from + id, "\r\n"},
		"resent":           {"Resent-Date: x\r\nResent-Message-ID: y\r\nDate: z\r\nFrom: me@here.example\r\n\r\n", "Resent-Date: x\r\nResent-Message-ID: y\r\nDate: z\r\nFrom: me@here.example\r\n" + id, "\r\n"},
	} {
		var h submission.Header
		for _, step := range []int{1, 2, 3, 7, 4096} {
			if got, s := through(&h, message(), c.in, step); got != c.header+c.body || !s.IsZero() {
				t.Errorf("%s in pieces of %d: %q, %v", name, step, got, s)
			}
		}
		if got, _ := through(&h, &submission.Message{Owns: owns}, c.in, 4096); len(got) > len(c.in)+2 {
			t.Errorf("%s: without mending %q", name, got)
		}
	}
}

// What the header says of its author must be true of the login.
//
// Covers A8.
func TestAuthors(t *testing.T) {
	const (
		good = iota
		foreign
		unclear
	)
	for value, want := range map[string]int{
		"me@here.example":                                 good,
		"ME@here.example":                                 foreign, // who compares is the login
		"me@HERE.Example":                                 good,
		" Me <me@here.example>":                           good,
		`"Me, Myself" <me@here.example>`:                  good,
		"J. R. R. Me <me@here.example>":                   good,
		"(a (nested) comment\\)) me@here.example (other)": good,
		"=?utf-8?q?M=C3=A9?= <me@here.example>":           good,
		"Mé <me@here.example>":                            good,
		"[List] Me <me@here.example>":                     good,
		`"me"@here.example`:                               good,
		"me@here.example, x@mine.example":                 good,
		",, me@here.example,":                             good,
		"Us: me@here.example, You <x@mine.example>;":      good,
		"Me\r\n <me@here.example>":                        good,
		"<@a.example,@b.example:me@here.example>":         good,
		"me@here.example <me@here.example>":               good,
		"ceo@bank.example":                                foreign,
		"ceo@bank.example <me@here.example>":              foreign,
		"<ceo@bank.example>, me@here.example":             foreign,
		"me@here.example, ceo@bank.example":               foreign,
		"Us: me@here.example, ceo@bank.example;":          foreign,
		"me@here.example.bank.example":                    foreign,
		"(me@here.example) ceo@bank.example":              foreign,
		`"me@here.example" <ceo@bank.example>`:            foreign,
		`"<me@here.example>" <ceo@bank.example>`:          foreign,
		"<@here.example:ceo@bank.example>":                foreign,
		"me@here.example (ceo@bank.example)":              good,
		"":                                                unclear,
		"<>":                                              unclear,
		"Me":                                              unclear,
		"me":                                              unclear,
		"Us:;":                                            unclear,
		"Us: me@here.example":                             unclear,
		"A: B: me@here.example;;":                         unclear,
		"me@here.example <ceo":                            unclear,
		"<me@here.example> <ceo@bank.example>":            unclear,
		"<me@here.example> ceo@bank.example":              unclear,
		"<ceo@bank.example":                               unclear,
		"me@here.example>":                                unclear,
		"me@here.example@bank.example":                    unclear,
		"me @ here . example":                             unclear,
		`"ceo@bank.example" me@here.example`:              unclear,
		`"open <me@here.example>`:                         unclear,
		"(open <me@here.example>":                         unclear,
		"me@here.example\x00":                             unclear,
		"me@[here":                                        unclear,
		"=?utf-8?q?a,_b?= <me@here.example>":              unclear,
		"me@here.example;":                                unclear,
		"<me@here.example>@bank.example":                  unclear,
		strings.Repeat("x@mine.example, ", 3000) + "me@here.example": good,
		strings.Repeat("x", 70000):                                   unclear,
	} {
		for _, name := range []string{"From", "from ", "Sender", "Resent-From", "ReSent-Sender"} {
			var h submission.Header
			text := "Subject: x\r\n" + name + ":" + value + "\r\n\r\nbody\r\n"
			for _, step := range []int{1, 5, 70 << 10} {
				if len(value) > 1000 && step < 10 {
					continue
				}
				_, s := through(&h, message(), text, step)
				got := good
				switch {
				case strings.Contains(string(s.Text), "cannot be read"):
					got = unclear
				case s.Code == 550:
					got = foreign
				}
				if got != want {
					t.Errorf("%s: %.100q in pieces of %d: %d (%s), want %d", name, value, step, got, s.Text, want)
				}
			}
		}
	}
	// Each field counts, wherever it stands; behind the header there are none.
	for text, refused := range map[string]bool{
		"From: me@here.example\r\nFrom: ceo@bank.example\r\n\r\n":        true,
		"From: ceo@bank.example\r\nFrom: me@here.example\r\n\r\n":        true,
		"From: me@here.example\r\nSender: ceo@bank.example\r\n":          true,
		"From: me@here.example\r\nSender: ceo@bank.example":              true,
		"From: me@here.example\r\n\r\nFrom: ceo@bank.example\r\n":        false,
		"From: me@here.example\r\ngarbage\r\nFrom: ceo@bank.example\r\n": false,
		"Reply-To: ceo@bank.example\r\nX-From: ceo@bank.example\r\n\r\n": false,
		"Resent-From: me@here.example\r\nFrom: ceo@bank.example\r\n\r\n": true,
	} {
		var h submission.Header
		if _, s := through(&h, message(), text, 4096); s.IsZero() == refused {
			t.Errorf("%q: %v", text, s)
		}
		m := message()
		m.Owns = nil
		if _, s := through(&h, m, text, 4096); !s.IsZero() {
			t.Errorf("%q without the check: %v", text, s)
		}
	}
}

// An error of whoever takes the text ends it.
func TestATextThatIsNotTaken(t *testing.T) {
	full := mail.NewStatus(452, 4, 3, 1, "full")
	for _, text := range []string{"Subject: x\r\n\r\n", "Subject: x\r\n", "x y", ""} {
		var h submission.Header
		h.Reset(message())
		out := func([]byte) mail.Status { return full }
		s := h.Write([]byte(text), out)
		if s.IsZero() {
			s = h.Finish(out)
		}
		if s.Code != 452 {
			t.Errorf("%q: %v", text, s)
		}
	}
}

// Whatever the text and its pieces, what comes out is the text with an insertion, in
// which net/textproto finds the fields that were missing.
//
// Covers R24, A8.
func FuzzHeader(f *testing.F) {
	for _, text := range []string{"", "Date: x\r\n\r\n", "From: a@b\r\n c\r\nx", "\r\n", "\r", "x:y", " :\r\n", "From:\r\n <me@here.example>, Us: \"a\\\"b\" <x@mine.example>;\r\n\r\nbody"} {
		f.Add(text, uint8(1))
		f.Add(text, uint8(200))
	}
	f.Fuzz(func(t *testing.T, text string, step uint8) {
		text = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", "\r\n"), "\x00", "")
		var h submission.Header
		m := message()
		whole, s := through(&h, m, text, len(text)+1)
		pieces, s2 := through(&h, m, text, int(step)+1)
		if s.IsZero() != s2.IsZero() || s.IsZero() && whole != pieces {
			t.Fatalf("in pieces of %d %q, %v; whole %q, %v", int(step)+1, pieces, s2, whole, s)
		}
		m.Owns = nil
		whole, s = through(&h, m, text, len(text)+1)
		if !s.IsZero() {
			t.Fatalf("refused: %v", s)
		}
		common := 0
		for common < len(text) && text[common] == whole[common] {
			common++
		}
		inserted := len(whole) - len(text)
		if inserted < 0 || !strings.HasSuffix(whole, text[common:]) || whole[:common]+whole[common+inserted:] != text {
			t.Fatalf("%q became %q", text, whole)
		}
		header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(whole + "\r\n\r\n"))).ReadMIMEHeader()
		if err == nil && (header.Get("Date") == "" && !hasEmpty(header, "Date") || header.Get("Message-Id") == "" && !hasEmpty(header, "Message-Id")) {
			t.Fatalf("%q became %q: %v", text, whole, header)
		}
	})
}

func hasEmpty(h textproto.MIMEHeader, name string) bool { _, ok := h[name]; return ok }

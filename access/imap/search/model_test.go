package search_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postrider/access/imap/search"
	"postrider/delivery/mailbox"
)

// modelled is a message as the model knows it: in plain words.
type modelled struct {
	uid                       uint32
	flags                     mailbox.Flags
	work                      bool
	day                       int // of November
	size                      int
	subject, from, body, note string
	sent                      int // day of October; 0: no date
}

// wordList holds what is said and looked for; some of it is in other scripts.
func wordList() []string {
	return []string{"apple", "Äpfel", "café", "ПРИВЕТ", "東京タワー", "STRASSE", "x", "needle in it", "%", "naïve=3D", "日", "ß"}
}

// randomMail makes mail, and says what is in it.
func randomMail(r *rand.Rand, n int) (letters []letter, model []modelled) {
	words := wordList()
	some := func() string {
		var s []string
		for range r.IntN(4) {
			s = append(s, words[r.IntN(len(words))])
		}
		return strings.Join(s, " ")
	}
	for i := range n {
		m := modelled{uid: uint32(i + 1), flags: mailbox.Flags(r.IntN(32)), work: r.IntN(3) == 0, day: 1 + r.IntN(28), subject: some(), from: some(), body: some(), sent: r.IntN(31)}
		l := letter{flags: m.flags, received: time.Date(2026, 11, m.day, r.IntN(24), 0, 0, 0, time.UTC)}
		if m.work {
			l.keywords = []string{"Work"}
		}
		var b strings.Builder
		fmt.Fprintf(&b, "Subject: %s\r\nFrom: %s <a@example>\r\n", encodeWord(r, m.subject), encodeWord(r, m.from))
		if m.sent > 0 {
			fmt.Fprintf(&b, "Date: %d Oct 2026 23:59:59 -0800\r\n", m.sent)
		}
		switch r.IntN(3) {
		case 0:
			m.note = some()
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"=\"\r\n\r\n--=\r\n%s\r\n--=\r\n%s\r\n--=--\r\n", encodeBody(r, m.body), encodeBody(r, m.note))
		case 1:
			fmt.Fprintf(&b, "Content-Type: message/rfc822\r\n\r\n%s", encodeBody(r, m.body))
		default:
			b.WriteString(encodeBody(r, m.body))
		}
		l.text = b.String()
		m.size = len(l.text)
		letters, model = append(letters, l), append(model, m)
	}
	return letters, model
}

// encodeWord writes a value of a header in one of its forms.
func encodeWord(r *rand.Rand, s string) string {
	switch r.IntN(4) {
	case 0:
		return s
	case 1:
		return "=?UTF-8?B?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
	case 2: // cut anywhere, also in a character
		cut := r.IntN(len(s) + 1)
		return "=?utf-8*de?b?" + base64.StdEncoding.EncodeToString([]byte(s[:cut])) + "?=\r\n =?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s[cut:])) + "?="
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "=%02X", c)
	}
	return "=?utf-8?q?" + b.String() + "?="
}

// encodeBody writes a part, with the fields that say how.
func encodeBody(r *rand.Rand, s string) string {
	switch r.IntN(3) {
	case 0:
		return "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + s
	case 1:
		var b strings.Builder
		enc := base64.StdEncoding.EncodeToString([]byte(s))
		for len(enc) > 5 {
			b.WriteString(enc[:5] + "\r\n")
			enc = enc[5:]
		}
		return "Content-Type: TEXT/HTML; Charset=\"UTF-8\"\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" + b.String() + enc
	}
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b.String()
}

// keysOf draws a program, and what it means.
func keysOf(t *rapid.T, depth int) (keys string, is func(m *modelled) bool) {
	kind := rapid.IntRange(0, 18).Draw(t, "kind")
	if depth == 0 {
		kind %= 15
	}
	word := func() string { return rapid.SampledFrom(wordList()).Draw(t, "word") }
	holds := func(where, what string) bool { return strings.Contains(strings.ToLower(where), strings.ToLower(what)) }
	day := func() int { return rapid.IntRange(1, 28).Draw(t, "day") }
	switch kind {
	case 0:
		return "ALL", func(*modelled) bool { return true }
	case 1:
		return "SEEN", func(m *modelled) bool { return m.flags&mailbox.FlagSeen != 0 }
	case 2:
		return "UNFLAGGED", func(m *modelled) bool { return m.flags&mailbox.FlagFlagged == 0 }
	case 3:
		return "KEYWORD work", func(m *modelled) bool { return m.work }
	case 4:
		a, b := uint32(rapid.IntRange(1, 40).Draw(t, "from")), uint32(rapid.IntRange(1, 40).Draw(t, "to"))
		return fmt.Sprintf("UID %d:%d", a, b), func(m *modelled) bool { return m.uid >= min(a, b) && m.uid <= max(a, b) }
	case 5:
		d := day()
		return fmt.Sprintf("BEFORE %d-Nov-2026", d), func(m *modelled) bool { return m.day < d }
	case 6:
		d := day()
		return fmt.Sprintf("ON %d-Nov-2026", d), func(m *modelled) bool { return m.day == d }
	case 7:
		d := day()
		return fmt.Sprintf("SENTSINCE %d-Oct-2026", d), func(m *modelled) bool { return m.sent >= d }
	case 8:
		n := rapid.IntRange(50, 400).Draw(t, "size")
		return fmt.Sprintf("LARGER %d", n), func(m *modelled) bool { return m.size > n }
	case 9, 10:
		w := word()
		return fmt.Sprintf("SUBJECT %q", w), func(m *modelled) bool { return holds(m.subject, w) }
	case 11:
		w := word()
		return fmt.Sprintf("HEADER from %q", w), func(m *modelled) bool { return holds(m.from+" <a@example>", w) }
	case 12, 13:
		w := rapid.SampledFrom(wordList()[:6]).Draw(t, "word") // no field of a part has these
		return fmt.Sprintf("BODY %q", w), func(m *modelled) bool { return holds(m.body, w) || holds(m.note, w) }
	case 14:
		w := rapid.SampledFrom([]string{"äpfel", "CAFÉ", "привет", "タワー", "needle in"}).Draw(t, "word")
		return fmt.Sprintf("TEXT %q", w), func(m *modelled) bool {
			return holds(m.body, w) || holds(m.note, w) || holds(m.subject, w) || holds(m.from, w)
		}
	case 15:
		k, f := keysOf(t, depth-1)
		return "NOT " + k, func(m *modelled) bool { return !f(m) }
	case 16:
		k, f := keysOf(t, depth-1)
		l, g := keysOf(t, depth-1)
		return "OR " + k + " " + l, func(m *modelled) bool { return f(m) || g(m) }
	}
	k, f := keysOf(t, depth-1)
	l, g := keysOf(t, depth-1)
	return "(" + k + " " + l + ")", func(m *modelled) bool { return f(m) && g(m) }
}

// TestModel runs random programs over random mail, and compares them with what the mail
// was made of.
func TestModel(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(t)
		letters, model := randomMail(rand.New(rand.NewPCG(seed, 0)), 40)
		w.file(t, letters...)
		v := w.view(t)
		rapid.Check(t, func(t *rapid.T) {
			keys, is := keysOf(t, 4)
			var want []string
			for i := range model {
				if is(&model[i]) {
					want = append(want, fmt.Sprint(i+1))
				}
			}
			var f search.Found
			if err := parse(t, keys).Run(&search.Scope{View: v, Now: now}, search.Bound{}, &f); err != nil {
				t.Fatalf("%s: %v", keys, err)
			}
			if got := found(&f); got != strings.Join(want, " ") {
				t.Fatalf("%s: %s, want %s", keys, got, strings.Join(want, " "))
			}
		})
	}
}

package classify_test

import (
	"bytes"
	"strings"
	"testing"

	"postrider/internal/config"
	"postrider/internal/mail"
	"postrider/relay/classify"
)

func shipped(t testing.TB) *classify.Table {
	t.Helper()
	c, err := config.LoadReplies("")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hostile returns a reply's text that has the words of as many patterns as fit.
func hostile(t testing.TB) []byte {
	t.Helper()
	rules, err := config.ParseReplies("none", []byte("shipped = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, r := range rules {
		if len(r.Examples) > 0 {
			_, text, _ := strings.Cut(r.Examples[0], " ")
			b.WriteString(text[:min(len(text), 12)])
		}
	}
	return b.Bytes()
}

// Nothing is allocated, whatever is judged.
func TestNoAllocations(t *testing.T) {
	c := shipped(t)
	for name, s := range map[string]mail.Status{
		"success":     mail.NewStatus(250, 2, 0, 0, "ok"),
		"by its code": mail.NewStatus(550, 5, 1, 1, "no such user"),
		"by a rule":   mail.NewStatus(450, 4, 2, 0, "Greylisted, try again in 5 minutes"),
		"unknown":     mail.NewStatus(451, 4, 0, 0, "something that nobody has heard of"),
		"long":        {Code: 550, Text: bytes.Repeat([]byte("a stranger writes a long text "), 100)},
	} {
		if n := testing.AllocsPerRun(100, func() { c.Classify(s, "google", false) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Text behind the prefix is not looked at.
func TestPrefix(t *testing.T) {
	c := shipped(t)
	for _, n := range []int{classify.PrefixBytes - 5, classify.PrefixBytes, 100_000} {
		s := mail.Status{Code: 451, Text: append(bytes.Repeat([]byte{' '}, n), "greylisted, try again in 5 minutes"...)}
		if v := c.Classify(s, "", false); v.Class != mail.ClassOther || v.Wait != 0 {
			t.Errorf("behind %d bytes: %+v", n, v)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	c := shipped(b)
	for _, bm := range []struct {
		name string
		s    mail.Status
	}{
		{"success", mail.NewStatus(250, 2, 0, 0, "ok")},
		{"code", mail.NewStatus(550, 5, 1, 1, "The email account that you tried to reach does not exist")},
		{"greylist", mail.NewStatus(450, 4, 2, 0, "<b@example.net>: Recipient address rejected: Greylisted, try again in 5 minutes")},
		{"rate", mail.NewStatus(421, 4, 7, 0, "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints")},
		{"nouser", mail.NewStatus(550, 5, 0, 0, "<b@example.net>: Recipient address rejected: User unknown in virtual mailbox table")},
		{"unknown", mail.NewStatus(451, 4, 0, 0, "<b@example.net>: something went wrong here that no rule has words for, see the log")},
		{"hostile", mail.Status{Code: 450, Text: hostile(b)}},
		{"hostile5", mail.Status{Code: 550, Text: hostile(b)}},
		{"worst", mail.Status{Code: 450, Text: []byte(strings.Repeat("user user account host mail ", 20))}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Classify(bm.s, "google", false)
			}
		})
	}
}

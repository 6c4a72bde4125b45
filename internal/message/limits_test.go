package message_test

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/message"
)

// hostile texts: each would cost a reader dearly that looks at things twice.
func hostile() map[string]string {
	nest := func(n int, level func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(level(i))
		}
		return b.String()
	}
	long := strings.Repeat("b", 200)
	return map[string]string{
		"nested multiparts": nest(10_000, func(i int) string {
			return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}),
		"nested messages": strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10_000),
		"parts":           "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n", 100_000),
		"long boundary":   "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 1<<20) + "\r\n\r\n--" + strings.Repeat("b", 1<<20) + "\r\n\r\nx",
		"alike boundaries": nest(90, func(i int) string {
			return fmt.Sprintf("Content-Type: multipart/mixed; boundary=%s%d\r\n\r\n--%s%d\r\n", long, i, long, i)
		}) + "\r\n" + strings.Repeat("--"+long+"\r\n", 10_000),
		"header":        "Subject: " + strings.Repeat("x\r\n ", 3<<20) + "\r\n\r\n",
		"fields":        strings.Repeat("X: y\r\n", 1<<20) + "\r\n",
		"addresses":     "To: " + strings.Repeat("a,", 1<<20) + "\r\n\r\n",
		"groups":        "To: " + strings.Repeat("a:;", 1<<20) + "\r\n\r\n",
		"comments":      "To: " + strings.Repeat("(", 1<<20) + "\r\n\r\n",
		"quotes":        "To: " + strings.Repeat("\"\\", 1<<20) + "\r\n\r\n",
		"parameters":    "Content-Type: text/plain" + strings.Repeat(";a=b", 1<<20) + "\r\n\r\n",
		"no parameters": "Content-Type: text/plain" + strings.Repeat(";\"(", 1<<20) + "\r\n\r\n",
		"continuations": "Content-Type: text/plain" + strings.Repeat(";a*0*=b", 1<<20) + "\r\n\r\n",
		"words":         "Subject: " + strings.Repeat("=?utf-8?q?=41?= ", 1<<20) + "\r\n\r\n",
		"8 bit":         "Subject: " + strings.Repeat("\xe4\"", 1<<20) + "\r\n\r\n",
		"references":    "References: " + strings.Repeat("<a>", 1<<20) + "\r\n\r\n",
		"ids":           "References: " + strings.Repeat("<", 1<<20) + "\r\n\r\n",
		"parts with fields": "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\nContent-Description: "+strings.Repeat("\"", 900)+"\r\n\r\n", 5_000),
		"html": "Content-Type: text/html\r\n\r\n" + strings.Repeat("<style><!--&#", 1<<18),
	}
}

// Nothing a stranger sends makes items that are out of proportion, more parts than
// the cap, or nesting that a client could not read.
//
// Covers HI3.
func TestHostile(t *testing.T) {
	var s message.Structurer
	for name, text := range hostile() {
		got := structureOf(&s, text, 32<<10)
		if fault := sound(got); fault != "" {
			t.Errorf("%s: %.300s", name, fault)
		}
		if n := len(got.Envelope) + len(got.Body) + len(got.BodyStructure); n > 6<<20 {
			t.Errorf("%s: %d octets of items", name, n)
		}
		if len(got.Parts) > 10_000 {
			t.Errorf("%s: %d parts", name, len(got.Parts))
		}
		deep := 0
		for i := len(got.Parts) - 1; i >= 0; i = int(got.Parts[i].Parent) {
			deep++
		}
		if deep > 101 {
			t.Errorf("%s: %d levels", name, deep)
		}
		if int(got.SizeBytes) != len(text) {
			t.Errorf("%s: %d octets of %d", name, got.SizeBytes, len(text))
		}
	}
}

// What is too deep is shown as octets, what has no usable boundary as text.
//
// Covers HI3.
func TestDeeperIsOpaque(t *testing.T) {
	var s message.Structurer
	for _, c := range []struct{ name, kind string }{
		{"nested multiparts", `"application" "octet-stream"`},
		{"nested messages", `"application" "octet-stream"`},
		{"long boundary", `"text" "plain"`},
	} {
		got := structureOf(&s, hostile()[c.name], 0)
		if !strings.Contains(string(got.Body), c.kind) {
			t.Errorf("%s: no %s in %.200s", c.name, c.kind, got.Body)
		}
	}
}

// A message costs no memory of its own once a Structurer has seen one like it.
func TestStructurerNoAllocations(t *testing.T) {
	text := []byte(crlf(mixed))
	var s message.Structurer
	var out, back message.Structure
	var encoded []byte
	if n := testing.AllocsPerRun(100, func() {
		s.Reset()
		s.Write(text)
		s.Finish(&out)
		encoded = message.AppendStructure(encoded[:0], &out)
		if message.ParseStructure(encoded, &back) != nil {
			t.Error("not read back")
		}
	}); n > 0 || len(back.Parts) != 7 {
		t.Errorf("%v allocations, %d parts", n, len(back.Parts))
	}
}

func BenchmarkStructurer(b *testing.B) {
	for name, text := range map[string]string{
		"mixed":      crlf(mixed),
		"plain 8KiB": crlf("From: a@b\nTo: b@c\nSubject: x\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 115)),
		"parts 1MiB": crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat(strings.Repeat("x", 76)+"\n", 1<<20/78) + "--b--\n"),
	} {
		b.Run(name, func(b *testing.B) {
			p := []byte(text)
			var s message.Structurer
			var out message.Structure
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				s.Reset()
				s.Write(p)
				s.Finish(&out)
			}
		})
	}
}

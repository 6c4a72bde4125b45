package load

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"postrider/relay/smtp"
)

func builder(t testing.TB, o Options) *text {
	t.Helper()
	o.Address, o.Messages = "127.0.0.1:25", 1
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s.workers[0].text
}

func (m *text) String() string {
	return string(m.head) + string(bytes.Join(m.pieces, nil))
}

// Texts of every shape and size have that size, are mail, and match their hash.
func TestTexts(t *testing.T) {
	for i := range 64 {
		shape := Shape{MIME: i&1 > 0, EightBit: i&2 > 0, UTF8: i&4 > 0, LongLines: i&8 > 0, Random: i&16 > 0, Signed: i&32 > 0}
		t.Run(shape.String(), func(t *testing.T) {
			o := Options{Shape: shape, Run: 7, Sender: "load@bench.invalid"}
			m := newText(&o, newStock(shape, 1, 3000), signature(&o), 3)
			// Around the sizes at which another line or block begins.
			for _, b := range []int{0, shape.MinBytes(), 4096, len(m.head) + len(m.stock.block), len(m.head) + 2*len(m.stock.block)} {
				for d := 0; d < 85; d += 1 + 6*(i/16) {
					checkText(t, m, b+d-2)
				}
			}
		})
	}
}

func checkText(t *testing.T, m *text, size int) {
	t.Helper()
	due := time.Unix(1_800_000_000, 123_000)
	m.make(42, size, due, due.Add(time.Second))
	text := m.String()
	if want := max(size, m.stock.shape.MinBytes()); len(text) != want || m.bytes != want || m.size(size) != want {
		t.Fatalf("%d bytes, says %d, where %d were asked for", len(text), m.bytes, want)
	}
	var c smtp.TextCheck
	c.Add([]byte(text))
	c.End()
	utf := m.stock.shape.EightBit || m.stock.shape.UTF8
	if c.Bare || !utf && c.EightBit || !utf8.ValidString(text) || strings.Contains(text, "\n.") || !strings.HasSuffix(text, "\r\n") {
		t.Fatalf("size %d: bad text, ends in %q", size, text[len(text)-200:])
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 998 {
			t.Fatalf("size %d: a line of %d", size, len(line))
		}
	}
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	if want := fmt.Sprintf("X-Bench: 0000000007,0000000000000042,1800000000000123,1800000001000123,%016x,0000003\r\n", xxhash.Sum64String(body)); !strings.HasPrefix(text, want) {
		t.Fatalf("%q, not %q", text[:120], want)
	}
	if m.stock.shape.MIME && len(text) < 20_000 {
		checkMIME(t, text)
	}
}

func checkMIME(t *testing.T, text string) {
	t.Helper()
	msg, err := netmail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(msg.Body, p["boundary"])
	for i := range 2 {
		part, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(part); err != nil {
			t.Fatal(err)
		} else if i == 1 {
			if _, err := base64.StdEncoding.DecodeString(string(b)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Fatal(err)
	}
}

// The messages of a corpus keep their headers; their lines become CRLF.
func TestCorpus(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "Subject: a\n\n.dot\nbody\n", "b": "no header here", "c": "Subject: only\r\n", "d": ".x\r.y\r\n\r\nz"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sizes, err := ParseSizes("corpus:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	m := builder(t, Options{Sizes: sizes})
	for i, want := range []string{"Subject: a\r\n\r\n.dot\r\nbody\r\n", "\r\nno header here\r\n", "Subject: only\r\n\r\n", "\r\n.x\r\n.y\r\n\r\nz\r\n"} {
		m.make(1, i, time.Unix(0, 0), time.Unix(0, 0))
		head, rest, _ := strings.Cut(m.String(), "\r\n")
		_, body, _ := strings.Cut("\r\n"+rest, "\r\n\r\n")
		if rest != want || !strings.HasSuffix(head, fmt.Sprintf(",%016x,0000000", xxhash.Sum64String(body))) || m.bytes != len(m.String()) || m.size(i) != m.bytes {
			t.Errorf("%d: %q %q", i, head, rest)
		}
		if m.dots != (i == 0 || i == 3) {
			t.Errorf("%d: dots %v", i, m.dots)
		}
	}
}

// Making a message costs no memory.
func TestTextAllocs(t *testing.T) {
	for _, shape := range []string{"plain", "mime,8bit,signed"} {
		s, _ := ParseShape(shape)
		m := builder(t, Options{Shape: s})
		seq := uint64(0)
		now := time.Now()
		if n := testing.AllocsPerRun(1000, func() {
			seq++
			m.make(seq, 4096+int(seq), now, now)
		}); n != 0 {
			t.Errorf("%s: %v allocations", shape, n)
		}
	}
}

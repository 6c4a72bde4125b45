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
			m := newText(&o, newStock(shape, 1, 3000), signature(&o))
			// Around the sizes at which another block begins.
			for _, b := range []int{0, shape.MinBytes(), 4096, len(m.head) + len(m.stock.block), len(m.head) + 2*len(m.stock.block), 70_001} {
				for d := range 85 {
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
	if want := fmt.Sprintf("X-Bench: 0000000007,0000000000000042,1800000000000123,1800000001000123,%016x\r\n", xxhash.Sum64String(body)); !strings.HasPrefix(text, want) {
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
		if rest != want || !strings.HasSuffix(head, fmt.Sprintf(",%016x", xxhash.Sum64String(body))) || m.bytes != len(m.String()) || m.size(i) != m.bytes {
			t.Errorf("%d: %q %q", i, head, rest)
		}
		if m.dots != (i == 0 || i == 3) {
			t.Errorf("%d: dots %v", i, m.dots)
		}
	}
}

// What is drawn has the distribution that was asked for.
func TestDraws(t *testing.T) {
	const n = 200_000
	sizes, err := ParseSizes("lognormal:median=10k,p99=100k")
	if err != nil {
		t.Fatal(err)
	}
	below10, below100, most := 0, 0, 0
	for i := range uint64(n) {
		b := sizes.draw(draw(1, i, drawSize))
		most = max(most, b)
		if b < 10<<10 {
			below10++
		}
		if b < 100<<10 {
			below100++
		}
	}
	if near(below10, n/2, 0.02) && near(below100, n*99/100, 0.002) && most <= 800<<10 && most > 400<<10 {
		return
	}
	t.Errorf("%d below the median, %d below p99, largest %d", below10, below100, most)
}

func near(got, want int, off float64) bool {
	return float64(got) > float64(want)*(1-off) && float64(got) < float64(want)*(1+off)
}

func TestZipf(t *testing.T) {
	const n = 300_000
	d, err := ParseDomains("zipf:n=100,s=1")
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecipients("zipf:n=3,s=1")
	if err != nil {
		t.Fatal(err)
	}
	var domains [100]int
	var recipients [4]int
	for i := range uint64(n) {
		domains[d.draw(1, i, 0)]++
		recipients[r.draw(draw(1, i, drawRecipients))]++
	}
	// The sum of 1/k up to 100 is 5.187, up to 3 1.833.
	if !near(domains[0], n*1000/5187, 0.05) || !near(domains[1], n*1000/5187/2, 0.05) || !near(domains[99], n*10/5187, 0.3) {
		t.Errorf("%v", domains)
	}
	if !near(recipients[1], n*1000/1833, 0.05) || !near(recipients[3], n*1000/1833/3, 0.05) || recipients[0] != 0 {
		t.Errorf("%v", recipients)
	}
}

func TestHistogram(t *testing.T) {
	spans, weights, err := parseHistogram(strings.NewReader("1k-2k 3 # most\n\n4k 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSizes(spans, weights)
	small, large := 0, 0
	for i := range uint64(40_000) {
		switch b := s.draw(draw(1, i, drawSize)); {
		case b >= 1<<10 && b <= 2<<10:
			small++
		case b == 4<<10:
			large++
		default:
			t.Fatal(b)
		}
	}
	if !near(small, 30_000, 0.03) || !near(large, 10_000, 0.05) {
		t.Error(small, large)
	}
	for _, bad := range []string{"", "1k", "2k-1k 1", "1k 0", "x 1", "1-2-3 1"} {
		if _, _, err := parseHistogram(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestNetworks(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:25": true, "10.1.2.3:25": true, "192.168.0.1:25": true, "[::1]:25": true, "[fd00::1]:25": true, "unix:/x": true, "0.0.0.0:25": true,
		"mail.example:25": true, "192.0.2.1:25": false, "8.8.8.8:25": false, "[2001:db8::1]:25": false, "172.32.0.1:25": false, "127.0.0.1": false,
	} {
		_, err := New(Options{Address: address, Messages: 1})
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if _, err := New(Options{Address: address, Messages: 1, IOwnThisNetwork: true}); err != nil {
			t.Errorf("%s owned: %v", address, err)
		}
	}
	// A name that turns out to be elsewhere is refused when it is dialled.
	for address, ok := range map[string]bool{"127.0.0.1:25": true, "192.0.2.1:25": false, "[2001:db8::1]:25": false, "[::ffff:192.0.2.1]:25": false, "x": false} {
		if err := control("tcp4", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
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

func FuzzCorpus(f *testing.F) {
	f.Add([]byte("Subject: a\n\n.dot\nbody\n"))
	f.Add([]byte(".x\r\n\r\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 {
			return
		}
		s := newSample(text)
		whole := append(bytes.Clone(s.header), s.body...)
		var c smtp.TextCheck
		c.Add(whole)
		c.End()
		if c.Bare || !bytes.HasSuffix(s.header, []byte("\r\n")) || !bytes.HasSuffix(whole, []byte("\r\n")) || c.EightBit != s.eightBit {
			t.Fatalf("%q %q", s.header, s.body)
		}
		if i := bytes.Index(whole, []byte("\r\n\r\n")); !bytes.HasPrefix(whole, []byte("\r\n")) && (i < 0 || i+4 != len(s.header)) {
			t.Fatalf("%q %q", s.header, s.body)
		}
	})
}

func FuzzModels(f *testing.F) {
	for _, s := range []string{"4096:80,65536:20", "lognormal:median=12k,p99=2M", "mime,8bit", "zipf:n=50,s=1.1", "a.test,b.test", "uniform:n=5", "5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "histogram") || strings.HasPrefix(text, "corpus") || strings.HasPrefix(text, "weights") {
			return // name files
		}
		if s, err := ParseSizes(text); err == nil {
			for i := range uint64(20) {
				if n := s.draw(draw(1, i, 1)); n < 1 || n > maxBytes {
					t.Fatalf("%q: %d", text, n)
				}
			}
		}
		if r, err := ParseRecipients(text); err == nil {
			if n := r.draw(draw(1, 1, 1)); n < 1 || n > r.Max() {
				t.Fatalf("%q: %d", text, n)
			}
		}
		if d, err := ParseDomains(text); err == nil {
			if name := d.append(nil, d.draw(1, 1, 1)); !plainDomain(string(name)) {
				t.Fatalf("%q: %q", text, name)
			}
		}
		if s, err := ParseShape(text); err == nil {
			if q, err := ParseShape(s.String()); err != nil || q != s {
				t.Fatalf("%q: %v", text, s)
			}
		}
	})
}

func FuzzWeights(f *testing.F) {
	f.Add("1k-2k 3 # most\n\n4k 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		spans, weights, err := parseHistogram(strings.NewReader(text))
		if err != nil {
			return
		}
		s := newSizes(spans, weights)
		for i := range uint64(20) {
			if n := s.draw(draw(1, i, 1)); n < s.low || n > s.high || n < 1 {
				t.Fatalf("%q: %d", text, n)
			}
		}
	})
}

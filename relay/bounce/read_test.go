package bounce_test

import (
	"bytes"
	"io"
	"net/textproto"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/bounce"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
)

// read is a notice as an independent reader sees it.
type read struct {
	header  message.Header
	text    string                 // of the first part, decoded
	kinds   []string               // media types of the parts
	params  []map[string]string    // and their parameters
	bodies  []string               // decoded
	about   textproto.MIMEHeader   // fields about the message
	persons []textproto.MIMEHeader // and about each recipient
}

// compose writes a notice, checks what holds of every one, and reads it back.
func compose(t testing.TB, n *bounce.Notice) (read, bounce.Composed, []byte) {
	t.Helper()
	raw, c, err := bounce.Compose([]byte("before"), n)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := bytes.CutPrefix(raw, []byte("before"))
	if !ok {
		t.Fatal("what was in dst is gone")
	}
	checkShape(t, raw, c)
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil && !message.IsUnknownCharset(err) {
		t.Fatalf("%v\n%s", err, raw)
	}
	r := read{header: e.Header}
	mr := e.MultipartReader()
	if mr == nil {
		t.Fatalf("not a multipart\n%s", raw)
	}
	for {
		p, err := mr.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil && !message.IsUnknownCharset(err) {
			t.Fatalf("%v\n%s", err, raw)
		}
		kind, params, err := p.Header.ContentType()
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, raw)
		}
		r.kinds, r.params, r.bodies = append(r.kinds, kind), append(r.params, params), append(r.bodies, string(body))
	}
	if len(r.bodies) < 2 || len(r.bodies) > 3 {
		t.Fatalf("%d parts\n%s", len(r.bodies), raw)
	}
	r.text = r.bodies[0]
	r.readReport(t)
	if len(r.persons) != c.Recipients {
		t.Fatalf("%d recipients, not %d", len(r.persons), c.Recipients)
	}
	return r, c, raw
}

// readReport reads the groups of fields of the second part.
func (r *read) readReport(t testing.TB) {
	t.Helper()
	for i, group := range strings.Split(strings.TrimSuffix(r.bodies[1], "\r\n"), "\r\n\r\n") {
		h, err := textproto.NewReader(newReader(group + "\r\n\r\n")).ReadMIMEHeader()
		if err != nil {
			t.Fatalf("%v in %q", err, group)
		}
		if i == 0 {
			r.about = h
		} else {
			r.persons = append(r.persons, h)
		}
	}
}

// checkShape checks the bytes: lines, and nothing that could end or forge one.
func checkShape(t testing.TB, raw []byte, c bounce.Composed) {
	t.Helper()
	if len(raw) > bounce.MaxBytes {
		t.Fatalf("%d bytes", len(raw))
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Fatal("no CRLF at the end")
	}
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("a bad line: %.200q", line)
		}
		for _, b := range line {
			if b >= 0x80 && !c.EightBit {
				t.Fatalf("8 bits in %q", line)
			}
		}
	}
	allowed := " Date From To Subject Message-ID In-Reply-To References Auto-Submitted MIME-Version Content-Type Content-Language Content-Transfer-Encoding "
	seen := map[string]bool{}
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		if line[0] == ' ' {
			continue
		}
		name, _, _ := strings.Cut(string(line), ":")
		if !strings.Contains(allowed, " "+name+" ") || seen[name] {
			t.Fatalf("a field that does not belong here: %q", line)
		}
		seen[name] = true
		for _, b := range line {
			if b >= 0x80 && !c.SMTPUTF8 {
				t.Fatalf("8 bits in a header without SMTPUTF8: %q", line)
			}
		}
	}
}

func env(n *bounce.Notice) *mail.Envelope { return n.Envelope }

package smtp_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"postrider/internal/mail"
	"postrider/relay/smtp"
)

// slowReplies is what ReplyReader does, said plainly over a whole input.
func slowReplies(in []byte) (out []string, err error) {
	var lines []string
	octets := 0
	for {
		i := bytes.IndexByte(in, '\n')
		if i < 0 {
			switch {
			case octets+len(in) > smtp.AnswerOctets:
				return out, smtp.ErrReply
			case len(in) == 0 && len(lines) == 0:
				return out, io.EOF
			}
			return out, io.ErrUnexpectedEOF
		}
		if octets += i + 1; octets > smtp.AnswerOctets {
			return out, smtp.ErrReply
		}
		line := string(in[:i])
		in = in[i+1:]
		if len(line) > smtp.AnswerLineBytes+1 || !strings.HasSuffix(line, "\r") {
			line = line[:min(len(line), smtp.AnswerLineBytes)]
		}
		line = strings.TrimSuffix(line, "\r")
		if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" || line[0] < '2' || line[0] > '5' {
			return out, smtp.ErrReply
		}
		if len(lines) > 0 && line[:3] != lines[0][:3] || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return out, smtp.ErrReply
		}
		lines = append(lines, line)
		if len(line) > 3 && line[3] == '-' {
			if len(lines) == smtp.AnswerLines {
				return out, smtp.ErrReply
			}
			continue
		}
		out = append(out, strings.Join(lines, "\n"))
		lines, octets = nil, 0
	}
}

// plain drops codes and enhanced codes as an Answer's text does.
func plain(reply string) (text string, enhanced mail.Enhanced) {
	lines := strings.Split(reply, "\n")
	for i, l := range lines {
		code, l := l[:3], l[min(4, len(l)):]
		word, rest, _ := strings.Cut(l, " ")
		var e mail.Enhanced
		if f := strings.Split(word, "."); len(f) == 3 && len(f[0]) == 1 && f[0] == code[:1] && f[0] != "3" {
			n := [2]uint16{}
			ok := true
			for j, d := range f[1:] {
				ok = ok && len(d) >= 1 && len(d) <= 3 && strings.Trim(d, "0123456789") == ""
				for _, c := range d {
					n[j] = n[j]*10 + uint16(c-'0')
				}
			}
			if ok {
				e = mail.Enhanced{Class: f[0][0] - '0', Subject: n[0], Detail: n[1]}
			}
		}
		if i == 0 {
			enhanced = e
		}
		if e.Class != 0 && e == enhanced {
			l = rest
		}
		b := []byte(l)
		for j, c := range b {
			if c < ' ' || c == 0x7f {
				b[j] = ' '
			}
		}
		lines[i] = string(b)
	}
	return strings.Join(lines, "\n"), enhanced
}

// FuzzReplyReader compares the reader with a slow one, whole and byte by byte.
// Covers HS16.
func FuzzReplyReader(f *testing.F) {
	for _, s := range []string{
		"250 2.0.0 ok\r\n", "250\r\n250-a\r\n250-b\n250 c\r\n", "250-a\r\n251 b\r\n", "999 x\r\n", "abc\r\n", "\r\n", "25",
		"250 a\x00b\x7f\rc\r\n", "550-5.1.1 no\r\n550 5.1.1 such\r\n", "450 4.2 x\r\n", "450 4.2.1234 x\r\n", "354 3.0.0 x\r\n",
		"250 " + strings.Repeat("x", 5000) + "\r\n221 bye\r\n", strings.Repeat("250-x\r\n", 99) + "250 y\r\n", strings.Repeat("250-x\r\n", 101),
		"250 " + strings.Repeat("y", smtp.AnswerLineBytes-4) + "\r\n", "250 " + strings.Repeat("y", smtp.AnswerLineBytes-5) + "\r\n",
		"250-" + strings.Repeat("y", smtp.AnswerLineBytes-4) + "\n250 \r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want, wantErr := slowReplies(in)
		for _, src := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in)), iotest.DataErrReader(bytes.NewReader(in))} {
			var r smtp.ReplyReader
			var a smtp.Answer
			r.Reset(src)
			for i, w := range want {
				if err := r.Read(&a); err != nil {
					t.Fatalf("reply %d: %v, not %q", i, err, w)
				}
				text, enhanced := plain(w)
				if a.Code != uint16(w[0]-'0')*100+uint16(w[1]-'0')*10+uint16(w[2]-'0') || a.Enhanced != enhanced || string(a.Text) != text {
					t.Fatalf("reply %d: %d %v %q, not %q %v %q", i, a.Code, a.Enhanced, a.Text, w, enhanced, text)
				}
			}
			if err := r.Read(&a); !errors.Is(err, wantErr) {
				t.Fatalf("ended with %v, not %v", err, wantErr)
			}
		}
	})
}

// endless gives the same bytes for ever and counts them.
type endless struct {
	text string
	n    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], e.text[e.n%len(e.text):])
		n += c
		e.n += c
	}
	return n, nil
}

// A server can't make the reader hold or read without bound.
// Covers HS16.
func TestReplyBounds(t *testing.T) {
	for name, text := range map[string]string{"one line": "x", "lines": "250-x\r\n", "long lines": "250-" + strings.Repeat("x", 9000) + "\r\n", "zeros": "\x00"} {
		src := &endless{text: text}
		if name == "one line" {
			src.text = strings.Repeat("2", 1<<20)
		}
		var r smtp.ReplyReader
		var a smtp.Answer
		r.Reset(src)
		if err := r.Read(&a); !errors.Is(err, smtp.ErrReply) {
			t.Errorf("%s: %v", name, err)
		}
		if src.n > smtp.AnswerOctets+8192 || cap(a.Text) > smtp.AnswerOctets {
			t.Errorf("%s: read %d bytes, kept %d", name, src.n, cap(a.Text))
		}
	}
}

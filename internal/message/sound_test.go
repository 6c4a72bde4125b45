package message_test

import (
	"bytes"
	"fmt"
	"testing"

	"postrider/internal/message"
)

// sound reports what is wrong with a structure; "" when nothing is.
func sound(s *message.Structure) string {
	for name, item := range map[string][]byte{"ENVELOPE": s.Envelope, "BODY": s.Body, "BODYSTRUCTURE": s.BodyStructure} {
		rest, err := readItem(item, 0)
		if err != nil || len(rest) > 0 || item[0] != '(' {
			return fmt.Sprintf("%s %q: %v, %d octets behind it", name, item, err, len(rest))
		}
	}
	for i, p := range s.Parts {
		up := message.Part{BodyEnd: s.SizeBytes}
		if i > 0 {
			up = s.Parts[p.Parent]
		}
		if p.HeaderOff < up.BodyOff || p.BodyOff < p.HeaderOff || p.BodyEnd < p.BodyOff || p.BodyEnd > up.BodyEnd || p.Lines < 0 {
			return fmt.Sprintf("part %d is %+v in %+v", i, p, up)
		}
	}
	if bytes.ContainsAny(s.Preview, "\r\n\x00") || len([]rune(string(s.Preview))) > 200 {
		return fmt.Sprintf("preview %q", s.Preview)
	}
	return ""
}

// readItem reads one value of the grammar: a list, a string, a literal, NIL or a number.
func readItem(p []byte, depth int) ([]byte, error) {
	if len(p) == 0 {
		return nil, fmt.Errorf("cut off")
	}
	switch c := p[0]; {
	case c == '(':
		p = p[1:]
		for len(p) > 0 && p[0] != ')' {
			var err error
			if p, err = readItem(p, depth+1); err != nil {
				return nil, err
			}
			if len(p) > 1 && p[0] == ' ' && p[1] != ')' && p[1] != ' ' {
				p = p[1:]
			} else if len(p) == 0 || p[0] != ')' && p[0] != '(' {
				return nil, fmt.Errorf("no space before %.20q", p)
			}
		}
		if len(p) == 0 {
			return nil, fmt.Errorf("unbalanced")
		}
		return p[1:], nil
	case c == '"':
		for i := 1; i < len(p); i++ {
			switch {
			case p[i] == '\\' && i+1 < len(p) && (p[i+1] == '"' || p[i+1] == '\\'):
				i++
			case p[i] == '"':
				return p[i+1:], nil
			case p[i] < ' ' || p[i] >= 0x7f || p[i] == '\\':
				return nil, fmt.Errorf("%q in a quoted string", p[i])
			}
		}
		return nil, fmt.Errorf("quoted string without end")
	case c == '{':
		var n int
		if _, err := fmt.Sscanf(string(p[:min(len(p), 20)]), "{%d}\r\n", &n); err != nil {
			return nil, err
		}
		p = p[bytes.IndexByte(p, '\n')+1:]
		if len(p) < n || bytes.IndexByte(p[:n], 0) >= 0 {
			return nil, fmt.Errorf("literal of %d octets in %d", n, len(p))
		}
		return p[n:], nil
	case bytes.HasPrefix(p, []byte("NIL")):
		return p[3:], nil
	case c >= '0' && c <= '9':
		return bytes.TrimLeft(p, "0123456789"), nil
	}
	return nil, fmt.Errorf("%.20q", p)
}

// Whatever a stranger sends gives a structure that is sound and does not depend on
// how the text was cut, and that survives being encoded.
//
// Covers HI3.
func FuzzStructurer(f *testing.F) {
	f.Add(crlf(mixed), uint8(1))
	f.Add(mixed, uint8(3))
	f.Add("Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: x\n\nbody\n--a--", uint8(2))
	f.Add("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\nX\r\n--a--\r\n-", uint8(4))
	f.Add("Subject:\xff\x00\"\\\r\nTo: <@a,@b:c@d>, x <\r\nFrom: a:b;,;:\"x\r\n\r\n", uint8(5))
	f.Add("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\n\n--a", uint8(6))
	f.Add("Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n", uint8(0))
	f.Add("Content-Type: text/html; charset=iso-8859-2\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+JiMzMzs8IS0t=\r\n", uint8(9))
	f.Fuzz(func(t *testing.T, text string, step uint8) {
		var whole, pieces message.Structurer
		a, b := structureOf(&whole, text, 0), structureOf(&pieces, text, int(step)+1)
		if fault := sound(a); fault != "" {
			t.Fatalf("%q: %s", text, fault)
		}
		one, two := message.AppendStructure(nil, a), message.AppendStructure(nil, b)
		if !bytes.Equal(one, two) {
			t.Fatalf("%q: cut at %d\n%q\n%q", text, step, one, two)
		}
		var back message.Structure
		if err := message.ParseStructure(one, &back); err != nil {
			t.Fatal(err)
		}
		if again := message.AppendStructure(nil, &back); !bytes.Equal(again, one) {
			t.Fatalf("%q became %q", one, again)
		}
	})
}

// Covers HI3.
func FuzzParseStructure(f *testing.F) {
	var s message.Structurer
	f.Add(message.AppendStructure(nil, structureOf(&s, crlf(mixed), 0)))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, src []byte) {
		var out message.Structure
		if message.ParseStructure(src, &out) != nil {
			return
		}
		for _, p := range out.Parts {
			if p.HeaderOff > p.BodyOff || p.BodyOff > p.BodyEnd || p.BodyEnd > out.SizeBytes {
				t.Fatalf("%+v of %d octets", p, out.SizeBytes)
			}
		}
		out.Find([]uint32{1, 1, 1})
	})
}

package load

import (
	"fmt"
	"strings"
)

// Shape says what the generated texts look like. The zero value is plain text in
// lines of 72 letters that compresses as prose does.
type Shape struct {
	MIME      bool // two parts, the larger one in base64
	EightBit  bool // UTF-8 in the text, BODY=8BITMIME where it is offered
	UTF8      bool // UTF-8 in sender and Subject as well; needs SMTPUTF8
	LongLines bool // of 998 octets, the longest that RFC 5321 allows
	Random    bool // does not compress
	Signed    bool // has a DKIM signature
}

// ParseShape reads words parted by commas: plain, mime, 8bit, smtputf8, longlines,
// random, signed.
func ParseShape(text string) (Shape, error) {
	var s Shape
	for word := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(word) {
		case "plain", "":
		case "mime":
			s.MIME = true
		case "8bit":
			s.EightBit = true
		case "smtputf8":
			s.UTF8 = true
		case "longlines":
			s.LongLines = true
		case "random":
			s.Random = true
		case "signed":
			s.Signed = true
		default:
			return Shape{}, modelErr("shape", text, fmt.Errorf("%q is none of plain, mime, 8bit, smtputf8, longlines, random, signed", word))
		}
	}
	return s, nil
}

// String returns s as ParseShape reads it.
func (s Shape) String() string {
	var words []string
	for _, w := range []struct {
		set  bool
		word string
	}{{s.MIME, "mime"}, {s.EightBit, "8bit"}, {s.UTF8, "smtputf8"}, {s.LongLines, "longlines"}, {s.Random, "random"}, {s.Signed, "signed"}} {
		if w.set {
			words = append(words, w.word)
		}
	}
	if words == nil {
		return "plain"
	}
	return strings.Join(words, ",")
}

// MinBytes is the smallest plain text: room for the headers and the line that
// makes each body unlike the others.
const MinBytes = 512

// MinBytes returns the smallest text of this shape.
func (s Shape) MinBytes() int {
	n := MinBytes
	if s.MIME {
		n += 512
	}
	if s.Signed {
		n += 512
	}
	return n
}

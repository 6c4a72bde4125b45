package load

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
)

// blockBytes is about how much text is made once and repeated in large messages:
// more than a compressor of mail would look back.
const blockBytes = 1 << 20

// stock is what the texts of a run are made of, shared by all workers and never
// changed: a text is a head of its own and pieces of this.
type stock struct {
	shape    Shape
	block    []byte // lines of text
	prologue []byte // mime: up to the attachment
	base64   []byte // mime: lines of the attachment
	closing  []byte // mime: behind it
	last     []byte // a line that pads, cut from its left
}

const boundary = "=_postbench"

// newStock makes blocks of about so many bytes.
func newStock(shape Shape, seed uint64, bytes int) *stock {
	random := rand.New(rand.NewPCG(seed, 0x74657874))
	s := &stock{shape: shape, last: []byte("xxxx\r\n")}
	width := 72
	if shape.LongLines {
		width = 997 // a padded line is one longer
	}
	s.block = prose(random, shape, width, bytes)
	if !shape.MIME {
		return s
	}
	part := "--" + boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nThe attachment is attached.\r\n"
	if shape.EightBit || shape.UTF8 {
		part = strings.Replace(part, "7bit", "8bit", 1)
		part += "Prüfung, проверка, 試験.\r\n"
	}
	part += "--" + boundary + "\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=data.bin\r\n\r\n"
	s.prologue, s.closing = []byte(part), []byte("--"+boundary+"--\r\n")
	raw := make([]byte, 57)
	words := prose(random, Shape{}, 55, bytes)
	for len(s.base64) < bytes {
		if shape.Random {
			for i := range raw {
				raw[i] = byte(random.Uint32())
			}
		} else {
			copy(raw, words[len(s.base64)/base64Line*57%len(words)/57*57:])
		}
		s.base64 = append(base64.StdEncoding.AppendEncode(s.base64, raw), '\r', '\n')
	}
	return s
}

// base64Line is the length of a line of the attachment, with its CRLF.
const base64Line = 78

// prose returns lines of width octets, as many as bytes needs.
func prose(random *rand.Rand, shape Shape, width, bytes int) []byte {
	words := strings.Fields("the message relay takes from one host and hands to another as soon as it can so that what was sent " +
		"in the morning is read before noon whoever wrote it and wherever they live a letter has its own way")
	if shape.EightBit || shape.UTF8 {
		words = append(words, "für", "Größe", "почта", "письмо", "éte", "señor")
	}
	letters := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w",
		"x", "y", "z", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W",
		"X", "Y", "Z", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "/"}
	if shape.EightBit || shape.UTF8 {
		letters = append(letters, "ä", "é", "я")
	}
	b := make([]byte, 0, bytes+width+2)
	for len(b) < bytes {
		for end := len(b) + width; len(b) < end; {
			w := words[random.IntN(len(words))]
			if shape.Random {
				w = letters[random.IntN(len(letters))]
			}
			switch {
			case len(b)+len(w) > end:
				b = append(b, 'x')
			case shape.Random || len(b)+len(w) == end:
				b = append(b, w...)
			default:
				b = append(append(b, w...), ' ')
			}
		}
		b = append(b, '\r', '\n')
	}
	return b
}

// pieces appends what makes up n bytes of text behind a head, which may be none
// or at least 2.
func (s *stock) pieces(dst [][]byte, n int) [][]byte {
	if s.shape.MIME {
		n -= len(s.prologue) + len(s.closing)
		lines := n / base64Line
		if n%base64Line == 1 {
			lines--
		}
		dst = append(dst, s.prologue)
		left := lines * base64Line
		for ; left > len(s.base64); left -= len(s.base64) {
			dst = append(dst, s.base64)
		}
		dst = append(dst, s.base64[:left], s.closing)
		n -= lines * base64Line
	}
	for ; n == len(s.block) || n >= len(s.block)+2; n -= len(s.block) {
		dst = append(dst, s.block)
	}
	if n == 0 {
		return dst
	}
	// The cut parts neither a CR from its LF nor the octets of a character.
	cut := n - 2
	for cut > 0 && cut < len(s.block) && (s.block[cut] == '\n' || s.block[cut]&0xc0 == 0x80) {
		cut--
	}
	return append(dst, s.block[:cut], s.last[len(s.last)-(n-cut):])
}

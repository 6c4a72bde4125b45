package load

import (
	"bytes"
	"time"

	"github.com/cespare/xxhash/v2"
)

// text builds one message after another in memory that is made once: a head in
// which fields of fixed width are written anew, and pieces of the stock. So a
// message costs a hash and some digits.
type text struct {
	stock  *stock
	sizes  *Sizes
	head   []byte
	body   int // head[body:] belongs to the body
	pieces [][]byte
	bytes  int
	dots   bool // lines may begin with a dot
	digest xxhash.Digest

	seq, due, sent, hash []byte // fields of X-Bench
	id, first            []byte // seq again, in Message-ID and in the body's first line; nil in a corpus
}

const (
	wideNumber = "0000000000000000"
	wideRun    = "0000000000"
)

// newText returns a builder; signature is a whole header field, or empty.
func newText(o *Options, stock *stock, signature string, worker int) *text {
	m := &text{stock: stock, sizes: &o.Sizes}
	t := []byte("X-Bench: ")
	var fields [6]int
	field := func(i int, after string) {
		fields[i] = len(t)
		t = append(append(t, wideNumber...), after...)
	}
	t = append(t, wideRun+","...)
	copyNumber(t[len(t)-len(wideRun)-1:len(t)-1], o.Run)
	for i := range 3 {
		field(i, ",")
	}
	field(3, "")
	t = append(t, ",0000000\r\n"...)
	copyNumber(t[len(t)-9:len(t)-2], uint64(worker))
	m.body = len(t)
	if o.Sizes.corpus == nil {
		t = append(t, signature...)
		t = append(t, headers(o)...)
		t = append(t, "Message-ID: <"...)
		field(4, "."+wideRun+"@bench.invalid>\r\n")
		at := len(t) - len(wideRun) - len("@bench.invalid>\r\n")
		copyNumber(t[at:at+len(wideRun)], o.Run)
		t = append(t, mimeHeaders(o.Shape)...)
		t = append(t, "\r\n"...)
		m.body = len(t)
		field(5, "\r\n")
	}
	m.head = t
	for i, f := range []*[]byte{&m.seq, &m.due, &m.sent, &m.hash, &m.id, &m.first} {
		if fields[i] > 0 {
			*f = t[fields[i] : fields[i]+len(wideNumber) : fields[i]+len(wideNumber)]
		}
	}
	return m
}

// headers are those that are the same in every message and that a signature
// covers.
func headers(o *Options) string {
	from, subject := o.Sender, "load"
	if len(from) > 64 { // RFC 5321 limits a line, MinBytes the room
		from = "load@bench.invalid"
	}
	if o.Shape.UTF8 {
		subject = "Größe, размер"
	}
	return "From: <" + from + ">\r\nTo: undisclosed-recipients:;\r\nSubject: " + subject + "\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
}

func mimeHeaders(s Shape) string {
	switch {
	case s.MIME:
		return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n"
	case s.EightBit || s.UTF8:
		return "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
	}
	return ""
}

// make makes m the message seq. size is what Sizes.draw gave, raised to what the
// headers need.
func (m *text) make(seq uint64, size int, due, now time.Time) {
	copyNumber(m.seq, seq)
	copyNumber(m.due, uint64(due.UnixMicro()))
	copyNumber(m.sent, uint64(now.UnixMicro()))
	copy(m.id, m.seq)
	copy(m.first, m.seq)
	m.pieces = m.pieces[:0]
	m.digest.Reset()
	// Digest.Write can't fail.
	if m.sizes.corpus != nil {
		s := &m.sizes.corpus[size]
		m.pieces = append(m.pieces, s.header, s.body)
		m.bytes, m.dots = len(m.head)+len(s.header)+len(s.body), s.dots
		_, _ = m.digest.Write(s.body)
	} else {
		m.bytes = max(size, m.stock.shape.MinBytes())
		m.pieces = m.stock.pieces(m.pieces, m.bytes-len(m.head))
		_, _ = m.digest.Write(m.head[m.body:])
		for _, p := range m.pieces {
			_, _ = m.digest.Write(p)
		}
	}
	copyHex(m.hash, m.digest.Sum64())
}

// size returns how large the text of a message is going to be.
func (m *text) size(drawn int) int {
	if m.sizes.corpus != nil {
		s := &m.sizes.corpus[drawn]
		return len(m.head) + len(s.header) + len(s.body)
	}
	return max(drawn, m.stock.shape.MinBytes())
}

// copyNumber writes v right-aligned with leading zeros.
func copyNumber(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
}

// copyHex writes v as 16 digits.
func copyHex(dst []byte, v uint64) {
	const digits = "0123456789abcdef"
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[v&15]
		v >>= 4
	}
}

// lastWord returns what stands behind the last space or line end of text.
func lastWord(text []byte) []byte {
	return text[bytes.LastIndexAny(text, " \n")+1:]
}

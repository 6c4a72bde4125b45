package load

import (
	"bytes"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"
)

// MinBytes is the smallest text that holds the headers and the line that makes
// each body unlike the others.
const MinBytes = 512

// message is a text made once, in which a few fields of fixed width are written
// anew for each message: so it costs a hash and some digits.
type message struct {
	text []byte
	body []byte // of text

	run, seq, due, sent, hash []byte // fields of X-Bench
	id, first                 []byte // seq again, in Message-ID and in the body's first line
}

const (
	wideNumber = "0000000000000000"
	wideRun    = "0000000000"
)

func newMessage(size int, run uint64, sender string) *message {
	m := &message{}
	var fields [7]int
	t := []byte("X-Bench: ")
	field := func(i int, blank, after string) {
		fields[i] = len(t)
		t = append(append(t, blank...), after...)
	}
	field(0, wideRun, ",")
	field(1, wideNumber, ",")
	field(2, wideNumber, ",")
	field(3, wideNumber, ",")
	field(4, wideNumber, "\r\n")
	if len(sender) > 64 { // RFC 5321 limits a line, MinBytes the room
		sender = "load@bench.invalid"
	}
	t = append(t, "From: <"+sender+">\r\nTo: undisclosed-recipients:;\r\nSubject: load\r\n"...)
	t = append(t, "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <"...)
	field(5, wideNumber, ".")
	t = append(t, wideRun+"@bench.invalid>\r\n\r\n"...)
	copyNumber(t[len(t)-len(wideRun)-len("@bench.invalid>\r\n\r\n"):][:len(wideRun)], run)
	bodyAt := len(t)
	field(6, wideNumber, "\r\n")
	t = fill(t, size)
	m.text, m.body = t, t[bodyAt:]
	for i, f := range []*[]byte{&m.run, &m.seq, &m.due, &m.sent, &m.hash, &m.id, &m.first} {
		n := len(wideNumber)
		if i == 0 {
			n = len(wideRun)
		}
		*f = t[fields[i] : fields[i]+n : fields[i]+n]
	}
	copyNumber(m.run, run)
	return m
}

// fill appends lines of letters until t has size bytes, the last two CRLF.
func fill(t []byte, size int) []byte {
	const letters = "abcdefghijklmnopqrstuvwxyz      ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	random := rand.New(rand.NewPCG(uint64(size), 1))
	for len(t) < size {
		n := min(72, size-len(t)-2)
		if left := size - len(t) - 2 - n; left > 0 && left < 3 {
			n -= 3 // leave room for one more line
		}
		for range max(0, n) {
			t = append(t, letters[random.IntN(len(letters))])
		}
		t = append(t, '\r', '\n')
	}
	return t[:size]
}

// stamp makes m the message seq.
func (m *message) stamp(seq uint64, due, now time.Time) {
	copyNumber(m.seq, seq)
	copy(m.id, m.seq)
	copy(m.first, m.seq)
	copyNumber(m.due, uint64(due.UnixMicro()))
	copyNumber(m.sent, uint64(now.UnixMicro()))
	copyHex(m.hash, xxhash.Sum64(m.body))
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

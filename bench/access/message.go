package access

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// layout is what a server must say of the structure of a message.
type layout struct {
	leaves int   // parts that hold no parts
	octets int64 // of all leaves, as encoded
}

// headerName is that of the header that carries a message's identity:
// "seed,mailbox,number,hash", numbers in decimal, the hash of the body in
// hexadecimal.
const headerName = "X-Bench-Access"

// fillers are lines of a body; the one that begins with a dot is there because a
// server that doubles dots wrongly must be found out.
func filler(i int) string {
	return [...]string{
		"The quick brown fox jumps over the lazy dog, and no mailbox forgets it.\r\n",
		".A line that begins with a dot must arrive with exactly this one.\r\n",
		"From here on it could be taken for the begin of another message.\r\n",
		"Short.\r\n",
		"..\r\n",
	}[i%5]
}

const boundary = "=_bench_access_part"

// appendBody appends the body of a message of about size octets: for odd numbers
// a text and an attachment, for even ones a text alone.
func appendBody(dst []byte, number uint32, size int) ([]byte, layout) {
	if number%2 == 0 {
		start := len(dst)
		dst = appendLines(dst, number, size)
		return dst, layout{leaves: 1, octets: int64(len(dst) - start)}
	}
	var l layout
	dst = append(dst, "--"+boundary+"\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"...)
	start := len(dst)
	dst = appendLines(dst, number, size/2)
	l.octets += int64(len(dst) - start)
	dst = append(dst, "\r\n--"+boundary+"\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"...)
	start = len(dst)
	dst = appendAttachment(dst, number, size/2)
	l.octets += int64(len(dst) - start)
	l.leaves = 2
	return append(dst, "\r\n--"+boundary+"--\r\n"...), l
}

func appendLines(dst []byte, number uint32, size int) []byte {
	for end, i := len(dst)+max(1, size), int(number); len(dst) < end; i++ {
		dst = append(dst, filler(i)...)
	}
	return dst
}

func appendAttachment(dst []byte, number uint32, size int) []byte {
	var raw [54]byte // a line of 72
	state := uint64(number)*0x9e3779b97f4a7c15 + 1
	for end := len(dst) + max(1, size); len(dst) < end; {
		for i := range raw {
			state = state*6364136223846793005 + 1442695040888963407
			raw[i] = byte(state >> 56)
		}
		dst = append(base64.StdEncoding.AppendEncode(dst, raw[:]), "\r\n"...)
	}
	return dst
}

// appendSubject appends what ENVELOPE must show.
func appendSubject(dst []byte, mailbox int, number uint32) []byte {
	dst = strconv.AppendUint(append(dst, "bench "...), uint64(number), 10)
	return strconv.AppendInt(append(dst, " of "...), int64(mailbox), 10)
}

// appendMessage appends message number of a mailbox. body is a scratch that is
// returned for the next call.
func appendMessage(dst, body []byte, seed uint64, box *mailbox, number uint32, size int) (text, scratch []byte) {
	body, _ = appendBody(body[:0], number, size-headLen)
	dst = append(dst, "From: Bench <bench@bench.invalid>\r\nTo: <"...)
	dst = append(append(dst, box.address...), ">\r\nSubject: "...)
	dst = appendSubject(dst, box.number, number)
	dst = append(dst, "\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <"...)
	dst = strconv.AppendUint(append(strconv.AppendInt(dst, int64(box.number), 10), '.'), uint64(number), 10)
	dst = strconv.AppendUint(append(dst, '.'), seed, 16)
	dst = append(dst, "@bench.invalid>\r\n"+headerName+": "...)
	dst = append(strconv.AppendUint(dst, seed, 10), ',')
	dst = append(strconv.AppendInt(dst, int64(box.number), 10), ',')
	dst = append(strconv.AppendUint(dst, uint64(number), 10), ',')
	dst = strconv.AppendUint(dst, xxhash.Sum64(body), 16)
	dst = append(dst, "\r\nMIME-Version: 1.0\r\n"...)
	if number%2 == 1 {
		dst = append(dst, "Content-Type: multipart/mixed; boundary=\""+boundary+"\"\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, body...), body
}

// headLen is about what the headers take.
const headLen = 400

// examined reads a text as it comes and tells at its end whose it is and whether
// it is whole.
type examined struct {
	octets int64

	inBody bool
	line   []byte // of the header, as far as it has come
	digest xxhash.Digest

	found   bool // the identity was there and can be read
	seed    uint64
	mailbox int
	number  uint32
	hash    uint64
}

func (e *examined) reset() {
	line := e.line[:0]
	*e = examined{line: line}
	e.digest.Reset()
}

// add takes the next piece.
func (e *examined) add(b []byte) {
	e.octets += int64(len(b))
	for !e.inBody && len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			e.keep(b)
			return
		}
		e.keep(b[:i])
		b = b[i+1:]
		line := bytes.TrimSuffix(e.line, []byte{'\r'})
		if e.inBody = len(line) == 0; !e.inBody {
			e.header(line)
		}
		e.line = e.line[:0]
	}
	if len(b) > 0 {
		_, _ = e.digest.Write(b) // never fails
	}
}

// keep gathers a header line; what is longer than any of ours is not wanted.
func (e *examined) keep(b []byte) {
	if len(e.line)+len(b) <= 1024 {
		e.line = append(e.line, b...)
	}
}

func (e *examined) header(line []byte) {
	if len(line) < len(headerName)+2 || !bytes.EqualFold(line[:len(headerName)], []byte(headerName)) {
		return
	}
	rest := bytes.TrimSpace(line[len(headerName)+1:])
	var part [4]string
	for i := range part {
		piece, more, cut := bytes.Cut(rest, []byte{','})
		if cut != (i < 3) {
			return
		}
		part[i], rest = string(piece), more
	}
	seed, err1 := strconv.ParseUint(part[0], 10, 64)
	mailbox, err2 := strconv.Atoi(part[1])
	number, err3 := strconv.ParseUint(part[2], 10, 32)
	hash, err4 := strconv.ParseUint(part[3], 16, 64)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return
	}
	e.found, e.seed, e.mailbox, e.number, e.hash = true, seed, mailbox, uint32(number), hash
}

// whole reports whether the body is the one whose hash the header states.
func (e *examined) whole() bool { return e.found && e.inBody && e.digest.Sum64() == e.hash }

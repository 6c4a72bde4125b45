package ledger

import (
	"bytes"
	"strconv"
)

// AppendRecipient appends the local part of a duty's address: "r<seq>.<n>".
func AppendRecipient(dst []byte, seq uint64, n int) []byte {
	dst = strconv.AppendUint(append(dst, 'r'), seq, 10)
	return strconv.AppendInt(append(dst, '.'), int64(n), 10)
}

// maxRecipient bounds the number of a recipient in an address: more recipients
// than any message has.
const maxRecipient = 1 << 20

// ParseRecipient reads the duty out of an address, r<seq>.<n>@domain, or out of
// its local part alone.
func ParseRecipient(address []byte) (seq uint64, n int, ok bool) {
	if len(address) < 4 || address[0]|0x20 != 'r' {
		return 0, 0, false
	}
	seq, rest, ok := leadingUint(address[1:])
	if !ok || len(rest) == 0 || rest[0] != '.' {
		return 0, 0, false
	}
	v, rest, ok := leadingUint(rest[1:])
	if !ok || v >= maxRecipient || len(rest) > 0 && rest[0] != '@' {
		return 0, 0, false
	}
	return seq, int(v), true
}

// Header is what X-Bench says of a message.
type Header struct {
	Run, Seq uint64
	Intended int64  // Unix microseconds at which it was due
	Sent     int64  // Unix microseconds at which it was built
	Hash     uint64 // XXH64 of the body
	Worker   int    // the connection of the generator; below 0: not stated
}

// HeaderName opens the line that AppendHeader writes.
const HeaderName = "X-Bench: "

// The digits of each number of a header line.
const (
	runDigits    = 10
	numberDigits = 16
	workerDigits = 7
)

// HeaderBytes is the length of what AppendHeader writes: always the same, so that
// a text made once takes the header of each message in its place.
const HeaderBytes = len(HeaderName) + runDigits + 4*numberDigits + workerDigits + 5 + 2

// AppendHeader appends the line
//
//	X-Bench: run,seq,intended,sent,hash,worker
//
// with its CRLF, numbers with leading zeros and the hash in hexadecimal. A number
// that is wider than its field loses its upper digits.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, HeaderName...)
	dst = append(appendDigits(dst, h.Run, runDigits), ',')
	dst = append(appendDigits(dst, h.Seq, numberDigits), ',')
	dst = append(appendDigits(dst, uint64(max(0, h.Intended)), numberDigits), ',')
	dst = append(appendDigits(dst, uint64(max(0, h.Sent)), numberDigits), ',')
	const hex = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hex[h.Hash>>shift&15])
	}
	dst = append(dst, ',')
	return append(appendDigits(dst, uint64(max(0, h.Worker)), workerDigits), '\r', '\n')
}

// ParseHeader reads a header line or its value, with or without the end of the
// line. The worker may be left out.
func ParseHeader(line []byte) (h Header, ok bool) {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
	if n := len(HeaderName); len(line) > n && bytes.EqualFold(line[:n], []byte(HeaderName)) {
		line = line[n:]
	}
	var f [4]uint64
	for i := range f {
		v, rest, ok := leadingUint(line)
		if !ok || len(rest) == 0 || rest[0] != ',' {
			return Header{}, false
		}
		f[i], line = v, rest[1:]
	}
	h = Header{Run: f[0], Seq: f[1], Intended: int64(f[2]), Sent: int64(f[3]), Worker: -1}
	if h.Hash, ok = hexUint(line); !ok {
		return Header{}, false
	}
	if line = line[numberDigits:]; len(line) == 0 {
		return h, true
	}
	v, rest, ok := leadingUint(line[1:])
	if line[0] != ',' || !ok || len(rest) > 0 || v >= 1<<31 {
		return Header{}, false
	}
	h.Worker = int(v)
	return h, true
}

// appendDigits appends the last digits of v, with leading zeros.
func appendDigits(dst []byte, v uint64, digits int) []byte {
	n := len(dst)
	dst = append(dst, "0000000000000000"[:digits]...)
	for i := n + digits - 1; i >= n; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

// leadingUint reads the digits that open p, at most 18.
func leadingUint(p []byte) (v uint64, rest []byte, ok bool) {
	i := 0
	for i < len(p) && i < 18 && '0' <= p[i] && p[i] <= '9' {
		v = v*10 + uint64(p[i]-'0')
		i++
	}
	return v, p[i:], i > 0
}

// hexUint reads the 16 hexadecimal digits that open p.
func hexUint(p []byte) (v uint64, ok bool) {
	if len(p) < numberDigits {
		return 0, false
	}
	for _, c := range p[:numberDigits] {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

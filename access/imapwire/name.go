package imapwire

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrName reports what is not the encoded form of any mailbox name.
var ErrName = errors.New("not the form of a mailbox name")

// base64 of modified UTF-7 (RFC 3501 section 5.1.3): "," stands for "/".
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,"

// AppendMailbox appends a name, which is UTF-8, as an astring: as it is where the client
// has enabled UTF-8, else in modified UTF-7.
func AppendMailbox(dst []byte, name string, utf8 bool) []byte {
	if utf8 {
		return AppendAString(dst, name, true)
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c == '&' || c < ' ' || c >= 0x7f {
			var room [256]byte // enough for most
			return AppendAString(dst, AppendUTF7(room[:0], name), false)
		}
	}
	return AppendAString(dst, name, false)
}

// AppendUTF7 appends a name in modified UTF-7 (RFC 3501 section 5.1.3).
func AppendUTF7(dst []byte, name string) []byte {
	var bits uint32
	var n uint // bits that wait
	shifted := false
	put := func(unit uint32) {
		bits, n = bits<<16|unit, n+16
		for n >= 6 {
			n -= 6
			dst = append(dst, alphabet[bits>>n&63])
		}
		bits &= 1<<n - 1
	}
	unshift := func() {
		if !shifted {
			return
		}
		if n > 0 {
			dst = append(dst, alphabet[bits<<(6-n)&63])
		}
		dst = append(dst, '-')
		bits, n, shifted = 0, 0, false
	}
	for _, r := range name {
		if r >= ' ' && r < 0x7f {
			unshift()
			if dst = append(dst, byte(r)); r == '&' {
				dst = append(dst, '-')
			}
			continue
		}
		if !shifted {
			dst = append(dst, '&')
			shifted = true
		}
		if r >= 0x10000 {
			put(0xd800 | uint32(r-0x10000)>>10)
			put(0xdc00 | uint32(r-0x10000)&0x3ff)
			continue
		}
		put(uint32(r))
	}
	unshift()
	return dst
}

// DecodeMailbox reads a name as a client sends it: UTF-8 where it has enabled that, else
// modified UTF-7. It is strict: each name has one form, so that nothing can be hidden
// in another.
func DecodeMailbox(b []byte, utf bool) (string, error) {
	if utf {
		if !utf8.Valid(b) {
			return "", ErrName
		}
		return string(b), nil
	}
	plain := true
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return "", ErrName
		}
		plain = plain && c != '&'
	}
	if plain {
		return string(b), nil
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		if b[0] != '&' {
			out = append(out, b[0])
			b = b[1:]
			continue
		}
		end := bytes.IndexByte(b, '-')
		if end < 0 {
			return "", ErrName
		}
		if end == 1 {
			out = append(out, '&')
			b = b[2:]
			continue
		}
		var ok bool
		if out, ok = appendShifted(out, b[1:end]); !ok {
			return "", ErrName
		}
		b = b[end+1:]
		if len(b) > 1 && b[0] == '&' && b[1] != '-' {
			return "", ErrName // two that should have been one
		}
	}
	return string(out), nil
}

// appendShifted reads what stands between "&" and "-".
func appendShifted(dst, b []byte) ([]byte, bool) {
	var bits uint32
	var n uint
	var high rune // the first half of a pair
	for _, c := range b {
		v := strings.IndexByte(alphabet, c)
		if v < 0 {
			return nil, false
		}
		bits, n = bits<<6|uint32(v), n+6
		if n < 16 {
			continue
		}
		n -= 16
		unit := rune(bits >> n)
		bits &= 1<<n - 1
		switch {
		case high != 0:
			if unit < 0xdc00 || unit > 0xdfff {
				return nil, false
			}
			dst = utf8.AppendRune(dst, 0x10000+(high-0xd800)<<10+unit-0xdc00)
			high = 0
		case unit >= 0xd800 && unit < 0xdc00:
			high = unit
		case unit >= 0xdc00 && unit < 0xe000, unit >= ' ' && unit < 0x7f:
			return nil, false // half a pair, or what needed no shift
		default:
			dst = utf8.AppendRune(dst, unit)
		}
	}
	// What is left are fewer bits than one digit has, and they are 0.
	return dst, high == 0 && n < 6 && bits == 0
}

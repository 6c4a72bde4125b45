package maillog

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"
)

// encoder appends the members of a JSON object to buf. It is a
// zapcore.ObjectEncoder, because zap's own JSON encoder lets U+2028, DEL and the
// C1 controls through and allocates for byte strings given as fields.
//
// Durations are written in milliseconds with three decimals, times in RFC 3339
// with microseconds in UTC.
type encoder struct {
	buf []byte

	// second and its text are the last whole second that was written: nearly
	// every line repeats it.
	second int64
	text   [19]byte
}

func (e *encoder) key(name string) {
	e.buf = append(e.buf, ',', '"')
	e.buf = append(e.buf, name...) // names are constants of this package, or of diagnostics' callers
	e.buf = append(e.buf, '"', ':')
}

func (e *encoder) AddString(key, v string) {
	e.key(key)
	e.buf = appendString(e.buf, v)
}

func (e *encoder) AddByteString(key string, v []byte) {
	e.key(key)
	e.buf = appendString(e.buf, v)
}

func (e *encoder) AddInt64(key string, v int64) {
	e.key(key)
	e.buf = strconv.AppendInt(e.buf, v, 10)
}

func (e *encoder) AddUint64(key string, v uint64) {
	e.key(key)
	e.buf = strconv.AppendUint(e.buf, v, 10)
}

func (e *encoder) AddBool(key string, v bool) {
	e.key(key)
	e.buf = strconv.AppendBool(e.buf, v)
}

// AddDuration writes milliseconds.
func (e *encoder) AddDuration(key string, d time.Duration) {
	e.key(key)
	us := d.Microseconds()
	if us < 0 {
		e.buf = append(e.buf, '-')
		us = -us
	}
	e.buf = strconv.AppendInt(e.buf, us/1000, 10)
	if us %= 1000; us > 0 {
		e.buf = append(e.buf, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
	}
}

func (e *encoder) AddTime(key string, t time.Time) {
	e.key(key)
	e.buf = append(e.buf, '"')
	e.appendTime(t)
	e.buf = append(e.buf, '"')
}

func (e *encoder) appendTime(t time.Time) {
	us := t.UnixMicro()
	second := us / 1e6
	if us < 0 {
		e.buf = t.UTC().AppendFormat(e.buf, "2006-01-02T15:04:05.000000Z")
		return
	}
	if second != e.second || e.text[0] == 0 {
		text := time.Unix(second, 0).UTC().AppendFormat(e.text[:0], "2006-01-02T15:04:05")
		if len(text) != len(e.text) { // a year of five digits
			e.second, e.text[0] = 0, 0
			e.buf = append(append(e.buf, text...), ".000000Z"...)
			return
		}
		e.second = second
	}
	e.buf = append(e.buf, e.text[:]...)
	us %= 1e6
	e.buf = append(e.buf, '.',
		byte('0'+us/100000), byte('0'+us/10000%10), byte('0'+us/1000%10),
		byte('0'+us/100%10), byte('0'+us/10%10), byte('0'+us%10), 'Z')
}

func (e *encoder) AddFloat64(key string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) { // JSON has no word for them
		e.AddString(key, strconv.FormatFloat(v, 'g', -1, 64))
		return
	}
	e.key(key)
	e.buf = strconv.AppendFloat(e.buf, v, 'f', -1, 64)
}

// AddObject writes m's members between braces. Its first comma is taken away.
func (e *encoder) AddObject(key string, m zapcore.ObjectMarshaler) error {
	e.key(key)
	e.buf = append(e.buf, '{')
	n := len(e.buf)
	err := m.MarshalLogObject(e)
	if len(e.buf) > n {
		e.buf = append(e.buf[:n], e.buf[n+1:]...)
	}
	e.buf = append(e.buf, '}')
	return err
}

// The rest of zapcore.ObjectEncoder. Events use none of these; they keep the
// encoder whole for any other field.

func (e *encoder) AddBinary(key string, v []byte) {
	e.AddString(key, base64.StdEncoding.EncodeToString(v))
}
func (e *encoder) AddArray(key string, v zapcore.ArrayMarshaler) error { return e.AddReflected(key, v) }
func (e *encoder) AddComplex128(key string, v complex128)              { e.AddString(key, fmt.Sprint(v)) }
func (e *encoder) AddComplex64(key string, v complex64)                { e.AddString(key, fmt.Sprint(v)) }
func (e *encoder) AddFloat32(key string, v float32)                    { e.AddFloat64(key, float64(v)) }
func (e *encoder) AddInt(key string, v int)                            { e.AddInt64(key, int64(v)) }
func (e *encoder) AddInt32(key string, v int32)                        { e.AddInt64(key, int64(v)) }
func (e *encoder) AddInt16(key string, v int16)                        { e.AddInt64(key, int64(v)) }
func (e *encoder) AddInt8(key string, v int8)                          { e.AddInt64(key, int64(v)) }
func (e *encoder) AddUint(key string, v uint)                          { e.AddUint64(key, uint64(v)) }
func (e *encoder) AddUint32(key string, v uint32)                      { e.AddUint64(key, uint64(v)) }
func (e *encoder) AddUint16(key string, v uint16)                      { e.AddUint64(key, uint64(v)) }
func (e *encoder) AddUint8(key string, v uint8)                        { e.AddUint64(key, uint64(v)) }
func (e *encoder) AddUintptr(key string, v uintptr)                    { e.AddUint64(key, uint64(v)) }
func (e *encoder) AddReflected(key string, v any) error {
	e.AddString(key, fmt.Sprintf("%+v", v))
	return nil
}

// OpenNamespace does nothing: lines are flat.
func (e *encoder) OpenNamespace(string) {}

// plain says which bytes stand for themselves. It is never changed.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string that is safe on any terminal and in
// any line-based reader: everything that could end a line, move a cursor or turn
// the direction of text is escaped, and bytes that are not UTF-8 become U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendEscaped(dst, c)
			i++
			start = i
			continue
		}
		r, n := decodeRune(s[i:])
		if !hostile(r, n) {
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		i += n
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// hostile reports an invalid encoding, a C1 control, a line or paragraph
// separator, or a mark that turns the direction of text (all below U+10000).
func hostile(r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size <= 1:
		return true
	case r >= 0x80 && r < 0xa0:
		return true
	case r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x61c, r == 0xfeff:
		return true
	}
	return false
}

func decodeRune[T string | []byte](s T) (rune, int) {
	var b [utf8.UTFMax]byte
	n := copy(b[:], s)
	return utf8.DecodeRune(b[:n])
}

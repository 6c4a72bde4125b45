package message

import "bytes"

// Decoder undoes a Content-Transfer-Encoding, of a text that comes in pieces cut
// anywhere. It takes any octets: what the encoding has no meaning for is passed
// over in base64 and kept as it is in quoted-printable (RFC 2045 section 6.7).
// The zero value leaves a text as it is; Reset chooses.
type Decoder struct {
	encoding Encoding
	bits     uint32 // of base64 that make no octet yet
	count    int    // of them
	state    quotedState
	held     []byte // of quoted-printable, from an equals sign on
}

// quotedState is where a quoted-printable text was cut.
type quotedState uint8

const (
	quotedText  quotedState = iota
	quotedSign              // behind an equals sign
	quotedDigit             // and a first digit
	quotedBlank             // and space, after which the line ends perhaps
)

// heldMax is how much space between an equals sign and the end of its line is
// looked at.
const heldMax = 80

// Reset readies d for another text. EncodingUnknown leaves it as it is.
func (d *Decoder) Reset(e Encoding) {
	*d = Decoder{encoding: e, held: d.held[:0]}
}

// Append appends what the next piece of the text means.
func (d *Decoder) Append(dst, src []byte) []byte {
	switch d.encoding {
	case EncodingBase64:
		return d.appendBase64(dst, src)
	case EncodingQuotedPrintable:
		return d.appendQuoted(dst, src)
	}
	return append(dst, src...)
}

// Finish appends what the end of the text leaves over, at most heldMax octets.
func (d *Decoder) Finish(dst []byte) []byte {
	if d.state == quotedDigit {
		dst = append(dst, d.held...)
	}
	d.state, d.bits, d.count = quotedText, 0, 0
	return dst
}

// base64Value is the value of a digit of base64, or negative: padding ends a run of
// them, so that two texts behind each other are both read.
func base64Value(c byte) int32 {
	switch {
	case c >= 'A' && c <= 'Z':
		return int32(c - 'A')
	case c >= 'a' && c <= 'z':
		return int32(c-'a') + 26
	case c >= '0' && c <= '9':
		return int32(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	case c == '=':
		return -2
	}
	return -1
}

func (d *Decoder) appendBase64(dst, src []byte) []byte {
	bits, n := d.bits, d.count
	for _, c := range src {
		v := base64Value(c)
		if v < 0 {
			if v == -2 {
				bits, n = 0, 0
			}
			continue
		}
		bits = bits<<6 | uint32(v)
		if n += 6; n >= 8 {
			n -= 8
			dst = append(dst, byte(bits>>n))
		}
	}
	d.bits, d.count = bits, n
	return dst
}

func (d *Decoder) appendQuoted(dst, src []byte) []byte {
	for len(src) > 0 {
		if d.state == quotedText {
			i := bytes.IndexByte(src, '=')
			if i < 0 {
				return append(dst, src...)
			}
			dst = append(dst, src[:i]...)
			src = src[i+1:]
			d.state, d.held = quotedSign, append(d.held[:0], '=')
			continue
		}
		var taken bool
		if dst, taken = d.quoted(dst, src[0]); taken {
			src = src[1:]
		}
	}
	return dst
}

// quoted takes an octet behind an equals sign. When it does not, what was held is
// text, and so is the octet, if it is no equals sign itself.
func (d *Decoder) quoted(dst []byte, c byte) (out []byte, taken bool) {
	switch {
	case d.state == quotedSign && hexValue(c) >= 0:
		d.state, d.held = quotedDigit, append(d.held, c)
		return dst, true
	case d.state == quotedDigit && hexValue(c) >= 0:
		d.state = quotedText
		return append(dst, byte(hexValue(d.held[1])<<4|hexValue(c))), true
	case d.state != quotedDigit && c == '\n': // a soft line break
		d.state = quotedText
		return dst, true
	case d.state != quotedDigit && (c == ' ' || c == '\t' || c == '\r') && len(d.held) < heldMax:
		d.state, d.held = quotedBlank, append(d.held, c)
		return dst, true
	}
	d.state = quotedText
	return append(dst, d.held...), false
}

// hexValue returns the value of a hex digit, or -1.
func hexValue(c byte) int {
	one := [1]byte{c}
	return hexAt(one[:], 0)
}

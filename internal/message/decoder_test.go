package message_test

import (
	"bytes"
	"strings"
	"testing"

	"postrider/internal/message"
)

func TestDecoder(t *testing.T) {
	tests := []struct {
		encoding  message.Encoding
		text, out string
	}{
		{message.EncodingIdentity, "a=3D\r\n", "a=3D\r\n"},
		{message.EncodingUnknown, "begin 644 x\r\n", "begin 644 x\r\n"},
		{message.EncodingBase64, "SGVs\r\nbG8=\r\n", "Hello"},
		{message.EncodingBase64, "SGVsbG8", "Hello"},
		{message.EncodingBase64, "S G*V\x00s\xffbG8=", "Hello"},
		{message.EncodingBase64, "SGVsbG8=IQ==", "Hello!"},
		{message.EncodingBase64, "====", ""},
		{message.EncodingQuotedPrintable, "caf=C3=A9 =\r\nau=20lait", "café au lait"},
		{message.EncodingQuotedPrintable, "a= \t\r\nb=\nc", "abc"},
		{message.EncodingQuotedPrintable, "1+1=2, =zz, ==41, =4=41", "1+1=2, =zz, =A, =4A"},
		{message.EncodingQuotedPrintable, "end=", "end"},
		{message.EncodingQuotedPrintable, "end=4", "end=4"},
		{message.EncodingQuotedPrintable, "=" + strings.Repeat(" ", 200) + "\nx", "=" + strings.Repeat(" ", 200) + "\nx"},
	}
	var d message.Decoder
	for _, test := range tests {
		for cut := 1; cut <= len(test.text); cut++ {
			d.Reset(test.encoding)
			var out []byte
			for rest := test.text; rest != ""; {
				n := min(cut, len(rest))
				out = d.Append(out, []byte(rest[:n]))
				rest = rest[n:]
			}
			if out = d.Finish(out); string(out) != test.out {
				t.Errorf("%d %q in pieces of %d: %q, want %q", test.encoding, test.text, cut, out, test.out)
			}
		}
	}
}

// FuzzDecoder sees that it does not matter where a text is cut, and that nothing
// grows.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("a=3D =\r\n b=4"), uint8(2), uint(3))
	f.Add([]byte("SGVsbG8=\r\n"), uint8(1), uint(5))
	f.Fuzz(func(t *testing.T, text []byte, encoding uint8, cut uint) {
		e := message.Encoding(encoding % 4)
		at := int(cut % uint(len(text)+1))
		var d message.Decoder
		d.Reset(e)
		whole := d.Finish(d.Append(nil, text))
		d.Reset(e)
		parts := d.Finish(d.Append(d.Append(nil, text[:at]), text[at:]))
		if !bytes.Equal(whole, parts) || len(whole) > len(text) {
			t.Errorf("%q, cut at %d: %q, whole: %q", text, at, parts, whole)
		}
	})
}

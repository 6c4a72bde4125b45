package maildir

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errName reports a name that is not modified UTF-7.
var errName = errors.New("the folder's name is not modified UTF-7")

// utf7 is the alphabet of modified UTF-7 (RFC 3501 section 5.1.3).
func utf7() *base64.Encoding {
	return base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)
}

// decodeName returns the mailbox name of a folder ".A.B": "A/B". Names that are
// UTF-8 already, as newer servers write them, are taken as they are.
func decodeName(folder string) (string, error) {
	var levels []string
	for level := range strings.SplitSeq(strings.TrimPrefix(folder, "."), ".") {
		text, err := decodeUTF7(level)
		if err != nil {
			return "", err
		}
		text = strings.NewReplacer(`\2e`, ".", `\2f`, "/", `\5c`, `\`).Replace(text)
		if text == "" || strings.ContainsAny(text, "/\x00\r\n") {
			return "", errName
		}
		levels = append(levels, text)
	}
	if strings.EqualFold(levels[0], "INBOX") {
		levels[0] = "INBOX"
	}
	return strings.Join(levels, "/"), nil
}

func decodeUTF7(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errName
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "&")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		word, after, found := strings.Cut(rest, "-")
		if !found {
			return "", errName
		}
		s = after
		if word == "" {
			out.WriteByte('&')
			continue
		}
		raw, err := utf7().DecodeString(word)
		if err != nil || len(raw)%2 != 0 {
			return "", errName
		}
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
		}
		for _, r := range utf16.Decode(units) {
			if r == utf8.RuneError {
				return "", errName
			}
			out.WriteRune(r)
		}
	}
}

// encodeName returns the folder of a mailbox: ".A.B" for "A/B". What would
// be taken for something else (the dot, a backslash) is escaped as Dovecot's
// listescape does.
func encodeName(name string) string {
	var out strings.Builder
	for level := range strings.SplitSeq(name, "/") {
		out.WriteByte('.')
		out.WriteString(encodeUTF7(strings.NewReplacer(".", `\2e`, `\`, `\5c`).Replace(level)))
	}
	return out.String()
}

func encodeUTF7(s string) string {
	var out strings.Builder
	var units []uint16
	flush := func() {
		if len(units) == 0 {
			return
		}
		raw := make([]byte, 0, 2*len(units))
		for _, u := range units {
			raw = append(raw, byte(u>>8), byte(u))
		}
		out.WriteString("&" + utf7().EncodeToString(raw) + "-")
		units = units[:0]
	}
	for _, r := range s {
		switch {
		case r < ' ' || r >= 0x7f:
			units = utf16.AppendRune(units, r)
			continue
		case r == '&':
			flush()
			out.WriteString("&-")
		default:
			flush()
			out.WriteRune(r)
		}
	}
	flush()
	return out.String()
}

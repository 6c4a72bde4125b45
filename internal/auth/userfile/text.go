package userfile

import (
	"errors"
	"strconv"
	"strings"
)

var errEscape = errors.New(`"%" stands for an octet with two hexadecimal digits behind it, and controls stand as such`)

// unescape replaces "%xx".
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		for i := range len(s) {
			if s[i] < ' ' || s[i] == 0x7f {
				return "", errEscape
			}
		}
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c == 0x7f {
			return "", errEscape
		}
		if c == '%' {
			if i+2 >= len(s) {
				return "", errEscape
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", errEscape
			}
			c, i = byte(n), i+2
		}
		b = append(b, c)
	}
	return string(b), nil
}

// appendEscaped writes what unescape reads, and so that no octet of also stands as
// it is.
func appendEscaped(dst []byte, s, also string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == '%' || c == 0x7f || strings.IndexByte(also, c) >= 0 {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

var errSize = errors.New(`a size is a number and a unit, as "500MB" or "5GB", or "none"`)

// units are powers of 1,000 where people say so, and of 1,024 with an "i".
func units() []struct {
	name string
	size int64
} {
	return []struct {
		name string
		size int64
	}{
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3},
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
	}
}

// ParseSize reads a quota: "5GB"; "none" is -1, no bound; a number without a unit is
// in octets; "0" is what is configured for all.
func ParseSize(s string) (int64, error) {
	if s == "none" {
		return -1, nil
	}
	digits := strings.TrimRight(s, "TGMKkiBtgmb")
	factor := int64(0)
	for _, u := range units() {
		if strings.EqualFold(s[len(digits):], u.name) {
			factor = u.size
		}
	}
	if digits == s {
		factor = 1
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || factor == 0 || n > (1<<62)/factor {
		return 0, errSize
	}
	return n * factor, nil
}

// AppendSize writes a quota so that ParseSize reads the same.
func AppendSize(dst []byte, n int64) []byte {
	if n < 0 {
		return append(dst, "none"...)
	}
	for _, u := range units() {
		if n > 0 && n%u.size == 0 {
			return append(strconv.AppendInt(dst, n/u.size, 10), u.name...)
		}
	}
	return strconv.AppendInt(dst, n, 10)
}

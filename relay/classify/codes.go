package classify

import (
	"fmt"
	"strconv"
	"strings"

	"postrider/internal/mail"
)

// ParseCode reads a basic code of a rule: three characters, of which the last
// one or two may be "x". It returns the range that it lies in.
func ParseCode(text string) (first, last uint16, err error) {
	if len(text) != 3 || text[0] != '4' && text[0] != '5' {
		return 0, 0, fmt.Errorf("%q is not a code (want 421, 45x or 5xx)", text)
	}
	low, high := []byte(text), []byte(text)
	for i := 1; i < 3; i++ {
		switch c := text[i]; {
		case c == 'x':
			low[i], high[i] = '0', '9'
		case c < '0' || c > '9':
			return 0, 0, fmt.Errorf("%q is not a code (want 421, 45x or 5xx)", text)
		}
	}
	a, _ := strconv.ParseUint(string(low), 10, 16) // three digits
	b, _ := strconv.ParseUint(string(high), 10, 16)
	return uint16(a), uint16(b), nil
}

// codeFits reports whether code n is one that the pattern p stands for.
func codeFits(n uint16, p string) bool {
	digits := [3]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)}
	for i, d := range digits {
		if p[i] != 'x' && p[i] != d {
			return false
		}
	}
	return true
}

// enhancedPattern is an enhanced code of which parts may be open (-1).
type enhancedPattern struct{ class, subject, detail int16 }

func parseEnhancedList(list []string) ([]enhancedPattern, error) {
	var out []enhancedPattern
	for _, text := range list {
		p, err := parseEnhancedPattern(text)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// CheckEnhanced reports whether text is an enhanced code of a rule: "4.7.0",
// "x.7.1" (4 or 5), "5.7.*", "5.*.*", or "*" for any and none.
func CheckEnhanced(text string) error {
	_, err := parseEnhancedPattern(text)
	return err
}

func parseEnhancedPattern(text string) (enhancedPattern, error) {
	if text == "*" {
		return enhancedPattern{-1, -1, -1}, nil
	}
	bad := fmt.Errorf("%q is not an enhanced code (want 4.7.0, x.7.1, 5.7.* or *)", text)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return enhancedPattern{}, bad
	}
	var n [3]int16
	for i, p := range parts {
		if p == "*" && i > 0 || p == "x" && i == 0 {
			n[i] = -1
			continue
		}
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || v > 999 || i == 0 && v != 4 && v != 5 {
			return enhancedPattern{}, bad
		}
		n[i] = int16(v)
	}
	return enhancedPattern{n[0], n[1], n[2]}, nil
}

func anyFits(list []enhancedPattern, e mail.Enhanced) bool {
	for _, p := range list {
		if p == (enhancedPattern{-1, -1, -1}) {
			return true
		}
		if e.Class != 0 && (p.class < 0 || p.class == int16(e.Class)) &&
			(p.subject < 0 || p.subject == int16(e.Subject)) && (p.detail < 0 || p.detail == int16(e.Detail)) {
			return true
		}
	}
	return false
}

// leavesOpen reports an enhanced code that is used for so much that the words
// must be asked: none, X.0.0, the general ones of a subject, and X.7.1.
func leavesOpen(e mail.Enhanced) bool {
	switch {
	case e.Class == 0, e.Subject == 0, e.Detail == 0:
		return true
	}
	switch [2]uint16{e.Subject, e.Detail} {
	case [2]uint16{2, 1}, // mailbox disabled, used for mailboxes that get too much
		[2]uint16{3, 2},                                                                     // not accepting messages
		[2]uint16{3, 5},                                                                     // misconfigured
		[2]uint16{4, 1}, [2]uint16{4, 2}, [2]uint16{4, 3}, [2]uint16{4, 4}, [2]uint16{4, 5}, // what a relay says of those behind it
		[2]uint16{5, 1}, [2]uint16{5, 2}, [2]uint16{5, 4}, // said for want of a better one
		[2]uint16{7, 1}:
		return true
	}
	return false
}

package classify_test

import (
	"bytes"
	"regexp"
	"unicode"

	"postrider/relay/classify"
)

// plainly returns the first pattern that matches, each tried in turn. Letters
// beyond ASCII that fold to one of ASCII do not count: the Table knows none.
func plainly(patterns []string, text []byte) string {
	text = text[:min(len(text), classify.PrefixBytes)]
	text = bytes.Map(func(r rune) rune {
		if r >= 0x80 && (unicode.SimpleFold(r) < 0x80) {
			return '?'
		}
		return r
	}, text)
	for _, p := range patterns {
		if regexp.MustCompile("(?i)" + p).Match(text) {
			return p
		}
	}
	return ""
}

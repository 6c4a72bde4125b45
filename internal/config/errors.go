package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error is one thing that is wrong with a configuration, and where.
type Error struct {
	File   string
	Line   int // from 1; 0 when it belongs to no line
	Column int // in bytes, from 1
	// Message says what is wrong, in one line.
	Message string
	// Suggestion says what was probably meant, or what is allowed; may be empty.
	Suggestion string
	// Source is the offending line, Width how many bytes of it from Column on
	// are meant.
	Source string
	Width  int
}

// Error returns one line: file:line:column: message; suggestion.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	b.WriteString(e.Message)
	if e.Suggestion != "" {
		b.WriteString("; ")
		b.WriteString(e.Suggestion)
	}
	return b.String()
}

// Detail returns Error, and below it the offending line with its culprit
// underlined.
func (e *Error) Detail() string {
	if e.Line == 0 || e.Source == "" {
		return e.Error() + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%6d | %s\n       | ", e.Error(), e.Line, e.Source)
	before := e.Source[:min(e.Column-1, len(e.Source))]
	for _, r := range before { // a tab stays one, so that the marks stand below their text
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	rest := e.Source[len(before):]
	marks := utf8.RuneCountInString(rest[:min(e.Width, len(rest))])
	b.WriteString(strings.Repeat("~", max(marks, 1)))
	b.WriteByte('\n')
	return b.String()
}

// Errors is everything that is wrong with a configuration, in the order of the
// file.
type Errors []*Error

// Error returns every error's line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, x := range e {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// Detail returns every error with its line of the file, and a count.
func (e Errors) Detail() string {
	noun := "errors"
	if len(e) == 1 {
		noun = "error"
	}
	return e.Notes() + fmt.Sprintf("%d %s\n", len(e), noun)
}

// Notes returns every one with its line of the file, without a count: for what is
// only a warning.
func (e Errors) Notes() string {
	var b strings.Builder
	for _, x := range e {
		b.WriteString(x.Detail())
	}
	return b.String()
}

// reporter collects errors and knows the text they are about.
type reporter struct {
	file string
	text []byte
	errs Errors
}

// span is a range of the text. The zero span belongs to no line.
type span struct{ at, n int }

// maxErrors bounds what is told of one file; nobody reads more.
const maxErrors = 1000

func (r *reporter) add(s span, message, suggestion string) {
	if len(r.errs) == maxErrors {
		return
	}
	e := &Error{File: r.file, Message: clean(message), Suggestion: clean(suggestion)}
	if s != (span{}) {
		e.Line, e.Column = position(r.text, s.at)
		e.Source, e.Width = sourceLine(r.text, s.at), s.n
	}
	r.errs = append(r.errs, e)
}

// sorted returns the errors by place, each once.
func (r *reporter) sorted() Errors {
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.CompactFunc(r.errs, func(a, b *Error) bool { return *a == *b })
}

func position(text []byte, at int) (line, column int) {
	at = min(at, len(text))
	before := text[:at]
	return bytes.Count(before, []byte{'\n'}) + 1, at - bytes.LastIndexByte(before, '\n')
}

func sourceLine(text []byte, at int) string {
	at = min(at, len(text))
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	end := len(text)
	if n := bytes.IndexByte(text[start:], '\n'); n >= 0 {
		end = start + n
	}
	return clean(strings.TrimSuffix(string(text[start:end]), "\r"))
}

// clean keeps a message on one line whatever the file held. Each control byte
// becomes one "?", so that columns stay right.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// nearest returns the candidate that differs least from word, when it is near
// enough to be what was meant, else "".
func nearest(word string, candidates []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, c := range candidates {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the insertions, removals, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

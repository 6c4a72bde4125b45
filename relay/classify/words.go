package classify

import (
	"fmt"
	"math/bits"
	"regexp"
	"regexp/syntax"
	"strings"
)

const ruleWords = MaxRules / 64

// ruleSet is a set of rules by index.
type ruleSet [ruleWords]uint64

func (s *ruleSet) add(i int) { s[i/64] |= 1 << (i % 64) }

// next returns the least member that is at least from, or -1.
func (s *ruleSet) next(from int) int {
	for w := from / 64; w < ruleWords; w++ {
		v := s[w]
		if w == from/64 {
			v &= ^uint64(0) << (from % 64)
		}
		if v != 0 {
			return w*64 + bits.TrailingZeros64(v)
		}
	}
	return -1
}

// Bounds of patterns.
const (
	maxPattern  = 2000 // bytes of a pattern's text
	maxSteps    = 400  // instructions of one of its choices, compiled
	maxPatterns = 4096 // choices of all rules
	minWord     = 3    // bytes; shorter ones are found everywhere
	maxChoices  = 64   // words of which one must be there
	maxGroups   = 8    // groups of words of which each must be there
	maxRuns     = 32   // patterns that are run on one reply
)

// pattern is one choice of a rule's pattern: of "a|b|c" each is one, so that only
// those are run of which the words were found.
type pattern struct {
	re     *regexp.Regexp // nil: the words say it all
	groups [][]string     // of each group, one word is in every text that matches
}

// CheckPattern reports whether text can be the pattern of a rule.
func CheckPattern(text string) error {
	_, err := compilePattern(text)
	return err
}

func compilePattern(text string) ([]pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	if _, err := regexp.Compile(text); err != nil { // whose message names the text as it was written
		return nil, err
	}
	var all []pattern
	for _, one := range choices(text) {
		choice, err := syntax.Parse(one, syntax.Perl|syntax.FoldCase)
		if err != nil {
			return nil, err
		}
		p := pattern{groups: groups(choice.Simplify())}
		if choice.Op != syntax.OpLiteral || len(p.groups) != 1 || len(p.groups[0][0]) != len(choice.Rune) {
			prog, err := syntax.Compile(choice.Simplify())
			if err != nil {
				return nil, err
			}
			if len(prog.Inst) > maxSteps {
				return nil, fmt.Errorf("%.40q takes %d steps, at most %d are allowed: write .* for a wide range of repetitions, or parts with | between them", choice, len(prog.Inst), maxSteps)
			}
			if p.re, err = regexp.Compile(choice.String()); err != nil {
				return nil, err
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// choices parts a pattern, which compiles, at the "|" that stand in no group. The
// parser could do it, but would first join what begins alike, words among it. A
// pattern that sets flags, quotes, or names a class ([[:alpha:]]) stays whole.
func choices(text string) []string {
	if strings.Contains(text, "(?") || strings.Contains(text, `\Q`) || strings.Contains(text, ":]") {
		return []string{text}
	}
	var all []string
	depth, class, start := 0, false, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if strings.HasPrefix(text[i+1:], "^") {
				i++
			}
			if strings.HasPrefix(text[i+1:], "]") { // it stands for itself there
				i++
			}
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			all = append(all, text[start:i])
			start = i + 1
		}
	}
	return append(all, text[start:])
}

// groups returns the groups of words that a text needs to match re.
func groups(re *syntax.Regexp) [][]string {
	list := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		list = re.Sub
	}
	var all [][]string
	for _, sub := range list {
		if w := needed(sub); len(w) > 0 && len(all) < maxGroups {
			all = append(all, w)
		}
	}
	return all
}

// needed returns words, in lower case, of which every match of re holds one.
func needed(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return literalWord(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return needed(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return needed(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if w := needed(sub); shortest(w) > shortest(best) {
				best = w
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			w := needed(sub)
			if len(w) == 0 || len(all)+len(w) > maxChoices {
				return nil
			}
			all = append(all, w...)
		}
		return all
	}
	return nil
}

func shortest(words []string) int {
	n := 0
	for i, w := range words {
		if i == 0 || len(w) < n {
			n = len(w)
		}
	}
	return n
}

// literalWord returns the longest run of ASCII in a literal as a word. Letters
// beyond ASCII have cases that bytes cannot be folded to.
func literalWord(runes []rune) []string {
	var best, run []byte
	for _, r := range runes {
		if r >= 0x80 {
			run = nil
			continue
		}
		run = append(run, lower(byte(r)))
		if len(run) > len(best) {
			best = run
		}
	}
	if len(best) < minWord {
		return nil
	}
	return []string{string(best)}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

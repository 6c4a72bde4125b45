package classify

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"regexp/syntax"
)

const ruleWords = MaxRules / 64

// ruleSet is a set of rules by index.
type ruleSet [ruleWords]uint64

func (s *ruleSet) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s *ruleSet) and(o *ruleSet) {
	for i := range s {
		s[i] &= o[i]
	}
}

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

// Bounds of a pattern and of the words that are looked for.
const (
	maxPattern = 1000 // bytes of a pattern's text
	minWord    = 3    // bytes; shorter ones are found everywhere
	maxChoices = 24   // words of which one must be there
)

// CheckPattern reports whether text can be the pattern of a rule.
func CheckPattern(text string) error {
	_, _, err := compilePattern(text)
	return err
}

// compilePattern returns the expression and the words of which a text must have
// at least one to match it; no words when that cannot be told.
func compilePattern(text string) (*regexp.Regexp, []string, error) {
	if len(text) > maxPattern {
		return nil, nil, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	re, err := regexp.Compile("(?i)" + text)
	if err != nil {
		return nil, nil, err
	}
	tree, err := syntax.Parse("(?i)"+text, syntax.Perl)
	if err != nil {
		return nil, nil, err
	}
	return re, needed(tree.Simplify()), nil
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

// automaton finds all words in one pass over a text (Aho and Corasick's), with
// letters of either case. Its table is states times the distinct bytes of the
// words, so that it stays in the cache.
type automaton struct {
	column [256]uint8 // of a byte; 0: in no word
	width  int
	next   []uint16
	rules  [][]uint16 // by state: the rules whose word ends there
}

func (a *automaton) find(text []byte, found *ruleSet) {
	if len(a.next) == 0 {
		return
	}
	state := 0
	for _, c := range text {
		state = int(a.next[state*a.width+int(a.column[c])])
		for _, r := range a.rules[state] {
			found.add(int(r))
		}
	}
}

// builder makes an automaton.
type builder struct {
	states []trieNode
}

type trieNode struct {
	next  map[byte]int
	fail  int
	rules []uint16
}

func newBuilder() *builder { return &builder{states: []trieNode{{next: map[byte]int{}}}} }

func (b *builder) add(word string, rule int) {
	at := 0
	for _, c := range []byte(word) {
		to, ok := b.states[at].next[c]
		if !ok {
			to = len(b.states)
			b.states = append(b.states, trieNode{next: map[byte]int{}})
			b.states[at].next[c] = to
		}
		at = to
	}
	b.states[at].rules = append(b.states[at].rules, uint16(rule))
}

func (b *builder) build() (automaton, error) {
	a := automaton{width: 1}
	switch {
	case len(b.states) > 1<<16-1:
		return a, errors.New("the patterns of the reply rules hold too many words")
	case len(b.states) == 1:
		return a, nil
	}
	var letters []byte
	for i := range b.states {
		for c := range b.states[i].next {
			if a.column[c] == 0 {
				a.column[c] = uint8(a.width)
				letters = append(letters, c)
				a.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.column[c] = a.column[lower(byte(c))]
	}
	a.next = make([]uint16, len(b.states)*a.width)
	a.rules = make([][]uint16, len(b.states))
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		n := &b.states[s]
		if s != 0 {
			n.rules = append(n.rules, b.states[n.fail].rules...)
		}
		a.rules[s] = n.rules
		for _, c := range letters {
			col := int(a.column[c])
			behind := 0 // where the text leads that is left when its first bytes are dropped
			if s != 0 {
				behind = int(a.next[n.fail*a.width+col])
			}
			to, ok := n.next[c]
			if !ok {
				a.next[s*a.width+col] = uint16(behind)
				continue
			}
			a.next[s*a.width+col] = uint16(to)
			b.states[to].fail = behind
			queue = append(queue, to)
		}
	}
	return a, nil
}

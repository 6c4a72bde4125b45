package classify

import "errors"

// automaton finds all words in one pass over a text (Aho and Corasick's), with
// letters of either case. Its table is states times the distinct bytes of the
// words, so that it stays in the cache.
type automaton struct {
	column [256]uint8 // of a byte; 0: in no word
	width  int
	next   []uint16
	ends   [][]end // by state: the words that end there
}

// end says of which group of which pattern a word is.
type end struct {
	pattern uint16
	group   uint8
}

// groupSets has, for each pattern, the groups of which a word was found.
type groupSets [maxPatterns]uint8

func (a *automaton) find(text []byte, found *groupSets) {
	if len(a.next) == 0 {
		return
	}
	state := 0
	for _, c := range text {
		state = int(a.next[state*a.width+int(a.column[c])])
		for _, e := range a.ends[state] {
			found[e.pattern] |= 1 << e.group
		}
	}
}

// builder makes an automaton.
type builder struct {
	states []trieNode
}

type trieNode struct {
	next map[byte]int
	fail int
	ends []end
}

func newBuilder() *builder { return &builder{states: []trieNode{{next: map[byte]int{}}}} }

func (b *builder) add(word string, e end) {
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
	b.states[at].ends = append(b.states[at].ends, e)
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
	a.ends = make([][]end, len(b.states))
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		n := &b.states[s]
		if s != 0 {
			n.ends = append(n.ends, b.states[n.fail].ends...)
		}
		a.ends[s] = n.ends
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

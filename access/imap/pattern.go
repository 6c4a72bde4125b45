package imap

import (
	"slices"
	"strings"
)

// maxPatternBytes is the longest run of plain characters that any name can match.
const maxPatternBytes = 255

// inboxName is what INBOX is called; clients may write it in any case (RFC 9051
// section 5.1).
const inboxName = "INBOX"

// pattern is what LIST takes for names (RFC 9051 section 6.3.9): "*" stands for
// anything, "%" for anything within a level. It is matched with a name in time that
// grows with the name alone, whatever its wildcards: bit i of a set says that the first
// i plain characters have been matched, and each octet of the name moves all bits at
// once.
type pattern struct {
	plain   string // the characters between the wildcards
	exact   bool   // there are no wildcards
	all     bool   // it is "*"
	never   bool   // it is longer than any name
	percent bool   // it ends with "%"
	moves   *[256]bitset
	stars   bitset // states in which anything may follow
	levels  bitset // states in which anything but a separator may
}

// bitset has a bit for each of the states 0 to maxPatternBytes.
type bitset [(maxPatternBytes + 1) / 64]uint64

func (b *bitset) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b *bitset) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }

// newPattern compiles a pattern, which is UTF-8.
func newPattern(text string) *pattern {
	p := &pattern{all: text == "*", percent: strings.HasSuffix(text, "%")}
	if p.exact = !strings.ContainsAny(text, "*%"); p.exact {
		p.plain = text
		return p
	}
	plain := make([]byte, 0, len(text))
	for i := range len(text) {
		state := len(plain)
		switch c := text[i]; {
		case c == '*':
			p.stars.set(state)
		case c == '%':
			p.levels.set(state)
		case state == maxPatternBytes:
			p.never = true
			return p
		default:
			plain = append(plain, c)
		}
	}
	p.plain = string(plain)
	p.moves = new([256]bitset)
	for i, c := range plain {
		p.moves[c].set(i)
	}
	return p
}

// match reports whether name is one that p means.
func (p *pattern) match(name string) bool {
	inbox := name == inboxName || strings.HasPrefix(name, inboxName+"/")
	switch {
	case p.all:
		return true
	case p.never:
		return false
	case p.exact && inbox && len(p.plain) >= len(inboxName):
		return strings.EqualFold(p.plain[:len(inboxName)], inboxName) && p.plain[len(inboxName):] == name[len(inboxName):]
	case p.exact:
		return p.plain == name
	}
	at := bitset{1}
	for i := range len(name) {
		c := name[i]
		move := p.moves[c]
		if inbox && i < len(inboxName) { // in any case
			for w, more := range p.moves[c|0x20] {
				move[w] |= more
			}
		}
		var left, carry uint64
		for w := range at {
			stay := p.stars[w]
			if c != '/' {
				stay |= p.levels[w]
			}
			step := at[w] & move[w]
			at[w] = at[w]&stay | step<<1 | carry
			carry = step >> 63
			left |= at[w]
		}
		if left == 0 {
			return false
		}
	}
	return at.has(len(p.plain))
}

// patterns are those of one LIST.
type patterns []*pattern

// match reports whether one of them means name.
func (ps patterns) match(name string) bool {
	return slices.ContainsFunc(ps, func(p *pattern) bool { return p.match(name) })
}

// matchLevel reports whether one that ends with "%" does: then levels that are no
// mailboxes are told as well (RFC 3501 section 6.3.8).
func (ps patterns) matchLevel(name string) bool {
	return slices.ContainsFunc(ps, func(p *pattern) bool { return p.percent && p.match(name) })
}

package search

import (
	"errors"

	"postrider/access/imapwire"
)

// Limits of a program.
const (
	// MaxKeys is how many keys a program may have.
	MaxKeys = 4096
	// MaxTexts is how many of them may look into texts.
	MaxTexts = 64
	// MaxDepth is how deep they may nest. Chains of OR are no nesting.
	MaxDepth = imapwire.MaxDepth
)

// Errors of Parse.
var (
	ErrSyntax  = errors.New("not a search key")
	ErrTooDeep = errors.New("search keys nest too deep")
	ErrTooMany = errors.New("too many search keys")
	ErrCharset = errors.New("the string is not of its charset")
)

// op is what a node compares.
type op uint8

const (
	opAnd      op = iota // all of its children
	opOr                 // any of its children
	opAll                // nothing
	opNone               // nothing, and that never holds
	opFlags              // Entry.Flags holds all of lo
	opKeyword            // the keyword text, before bind
	opMore               // more keywords hold the bit lo
	opRecent             //
	opModSeq             // at least lo
	opNumbers            // message numbers in set
	opUIDs               // UIDs in set
	opReceived           // INTERNALDATE in [lo, hi), seconds
	opSaved              // SAVEDATE in [lo, hi), seconds
	opOlder              // INTERNALDATE, by seconds before now: at least lo
	opYounger            // at most lo
	opSize               // in [lo, hi)
	opEmailID            // is text
	opSent               // Date in [lo, hi), days
	opHeader             // a field name holds text
	opBody               // the decoded text without the header holds text
	opText               // with it
)

// Costs: what must be read to decide an op.
const (
	costArray uint8 = iota
	costRow
	costItems
	costText
)

func (o op) cost() uint8 {
	switch o {
	case opReceived, opSaved, opOlder, opYounger, opSize, opEmailID:
		return costRow
	case opSent, opHeader:
		return costItems
	case opBody, opText:
		return costText
	}
	return costArray
}

// node is a key, or several.
type node struct {
	op    op
	not   bool  // of the result
	cheap uint8 // what it costs at least to decide it
	dear  uint8 // and at most

	first, next int32 // child, and what follows it at the same parent; 0: none
	set         int32 // in Program.sets
	name, text  span  // in Program.arena
	lo, hi      int64
}

// span is a piece of an arena.
type span struct{ off, len uint32 }

// Program is what a client asked for. Its memory is used again by the next Parse.
type Program struct {
	nodes []node // nodes[0] is the whole
	arena []byte // names in lower case and strings, folded
	sets  []imapwire.NumSet
	texts []int32 // nodes with costText

	// ModSeq says that it has a key MODSEQ, so that the answer tells the highest one
	// (RFC 7162 section 3.1.5).
	ModSeq bool
}

func (p *Program) reset() {
	*p = Program{nodes: p.nodes[:0], arena: p.arena[:0], sets: p.sets[:0], texts: p.texts[:0]}
}

func (p *Program) bytes(s span) []byte { return p.arena[s.off:][:s.len] }

// intern keeps b.
func (p *Program) intern(b []byte) span {
	p.arena = append(p.arena, b...)
	return span{uint32(len(p.arena) - len(b)), uint32(len(b))}
}

// seal works out the costs, children before their parents, which stand before them,
// and puts what is cheap first.
func (p *Program) seal() {
	for i := len(p.nodes) - 1; i >= 0; i-- {
		n := &p.nodes[i]
		if n.op != opAnd && n.op != opOr {
			n.cheap = n.op.cost()
			n.dear = n.cheap
			continue
		}
		if n.first == 0 { // no key at all
			n.op = opAll
			continue
		}
		n.first = p.byCost(n.first)
		n.cheap, n.dear = costText, costArray
		for c := n.first; c != 0; c = p.nodes[c].next {
			n.cheap = min(n.cheap, p.nodes[c].cheap)
			n.dear = max(n.dear, p.nodes[c].dear)
		}
	}
}

// byCost links a list of children anew, the cheap ones first.
func (p *Program) byCost(first int32) int32 {
	var heads, tails [costText + 1]int32
	for c := first; c != 0; c = p.nodes[c].next {
		k := p.nodes[c].dear
		if heads[k] == 0 {
			heads[k] = c
		} else {
			p.nodes[tails[k]].next = c
		}
		tails[k] = c
	}
	next := int32(0)
	for k := len(heads) - 1; k >= 0; k-- {
		if heads[k] != 0 {
			p.nodes[tails[k]].next = next
			next = heads[k]
		}
	}
	return next
}

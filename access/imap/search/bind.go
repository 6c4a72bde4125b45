package search

import (
	"strings"

	"postrider/delivery/mailbox"
)

// bind replaces what depends on the mailbox: keywords by their bits, "*" by a number.
func (p *Program) bind(s *Scope) {
	messages, lastUID := s.View.Len(), uint32(0)
	if messages > 0 {
		lastUID = s.View.At(messages - 1).UID
	}
	var keywords []string
	for i := range p.nodes {
		switch n := &p.nodes[i]; n.op {
		case opNumbers:
			p.sets[n.set].Resolve(uint32(messages))
		case opUIDs:
			p.sets[n.set].Resolve(lastUID)
		case opKeyword:
			if keywords == nil {
				keywords = s.View.Mailbox().Keywords(make([]string, 0, 8))
			}
			n.bindKeyword(p.bytes(n.text), keywords)
		}
	}
}

func (n *node) bindKeyword(name []byte, keywords []string) {
	n.op = opNone
	for i, k := range keywords {
		if !strings.EqualFold(k, string(name)) {
			continue
		}
		if i < mailbox.WordKeywords {
			n.op, n.lo = opFlags, 1<<(mailbox.FirstKeyword+i)
		} else {
			n.op, n.lo = opMore, int64(i-mailbox.WordKeywords)
		}
		return
	}
}

// required finds flags that every match must have or lack, so that other messages
// are passed at the least cost. Exact says that nothing else is asked for.
func (p *Program) required() (mask, want mailbox.Flags, exact bool) {
	root := &p.nodes[0]
	if root.op != opAnd || root.not {
		return 0, 0, false
	}
	exact = true
	for c := root.first; c != 0; c = p.nodes[c].next {
		n := &p.nodes[c]
		switch {
		case n.op == opAll && !n.not:
			continue
		case n.op != opFlags:
			exact = false
			continue
		}
		f, has := mailbox.Flags(n.lo), mailbox.Flags(0)
		if !n.not {
			has = f
		}
		if mask&f != 0 && want&f != has { // SEEN UNSEEN
			exact = false
			continue
		}
		mask |= f
		want |= has
	}
	return mask, want, exact
}

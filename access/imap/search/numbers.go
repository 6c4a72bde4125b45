package search

import (
	"math"

	"postrider/access/imapwire"
)

// otherKey reads the keys that are left.
func (p *parser) otherKey(n *node, key string) (bool, error) {
	switch key {
	case "UID", "KEYWORD", "UNKEYWORD", "LARGER", "SMALLER", "OLDER", "YOUNGER", "MODSEQ", "EMAILID", "THREADID":
	default:
		return false, nil
	}
	if !p.d.SP() {
		return true, ErrSyntax
	}
	switch key {
	case "UID":
		return true, p.set(n, opUIDs)
	case "KEYWORD", "UNKEYWORD":
		flag, ok := p.d.Flag()
		if !ok {
			return true, ErrSyntax
		}
		n.op, n.text = opKeyword, p.intern(flag)
		n.not = n.not != (key == "UNKEYWORD")
		return true, nil
	case "EMAILID", "THREADID":
		id, ok := p.d.AString()
		if !ok {
			return true, ErrSyntax
		}
		if n.op = opNone; key == "EMAILID" { // RFC 8474 section 5.2: a server without threads has no THREADID
			n.op, n.text = opEmailID, p.intern(id)
		}
		return true, nil
	case "MODSEQ":
		return true, p.modSeq(n)
	}
	return true, p.number(n, key)
}

// number reads the number of LARGER, SMALLER, OLDER and YOUNGER.
func (p *parser) number(n *node, key string) error {
	v, ok := p.d.Number64()
	if !ok {
		return ErrSyntax
	}
	switch value := int64(v); key {
	case "LARGER":
		n.op, n.lo, n.hi = opSize, value, math.MaxInt64
		if value < math.MaxInt64 {
			n.lo++
		}
	case "SMALLER":
		n.op, n.hi = opSize, value
	case "OLDER", "YOUNGER": // RFC 5032 section 4: a number that is not zero
		if value == 0 {
			return ErrSyntax
		}
		if n.op, n.lo = opOlder, min(value, maxAge); key == "YOUNGER" {
			n.op = opYounger
		}
	}
	return nil
}

// maxAge is older than any message.
const maxAge = 1000 * 366 * daySeconds

// modSeq reads the arguments of MODSEQ (RFC 7162 section 3.1.5). There is one
// mod-sequence for a message, so that the entry makes no difference.
func (p *parser) modSeq(n *node) error {
	if p.d.Peek() == '"' {
		if _, ok := p.d.String(); !ok || !p.d.SP() {
			return ErrSyntax
		}
		kind, ok := p.d.Atom()
		if !ok || !(imapwire.Is(kind, "ALL") || imapwire.Is(kind, "PRIV") || imapwire.Is(kind, "SHARED")) || !p.d.SP() {
			return ErrSyntax
		}
	}
	v, ok := p.d.Number64()
	if !ok {
		return ErrSyntax
	}
	n.op, n.lo, p.ModSeq = opModSeq, int64(v), true
	return nil
}

// set reads a set of numbers.
func (p *parser) set(n *node, o op) error {
	n.op, n.set = o, int32(len(p.sets))
	if len(p.sets) < cap(p.sets) {
		p.sets = p.sets[:len(p.sets)+1]
	} else {
		p.sets = append(p.sets, imapwire.NumSet{})
	}
	if !p.d.Set(&p.sets[n.set]) {
		return ErrSyntax
	}
	return nil
}

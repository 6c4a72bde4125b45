package search

import (
	"cmp"
	"slices"
)

// Threads are messages in threads: a forest in arrays, without recursion whatever its
// shape. A node below len(index) is a message, the others are the dummies of RFC 5256
// section 3, which stand only at the roots.
type Threads struct {
	index []uint32 // in the view, of the messages
	sent  []int64  // of them
	first []int32  // child; none: there is none
	next  []int32  // sibling
	roots []int32  // in order
}

// none is no node.
const none int32 = -1

// grow adds a node without kin.
func (t *Threads) grow() int32 {
	t.first, t.next = append(t.first, none), append(t.next, none)
	return int32(len(t.first) - 1)
}

// dummy reports a node that is no message.
func (t *Threads) dummy(n int32) bool { return int(n) >= len(t.index) }

// face returns the message that stands for a node: of a dummy its first child.
func (t *Threads) face(n int32) int32 {
	if t.dummy(n) {
		return t.first[n]
	}
	return n
}

// order compares nodes by their sent date, and by their number where that is the same
// (RFC 5256 section 2.2).
func (t *Threads) order(a, b int32) int {
	a, b = t.face(a), t.face(b)
	if order := cmp.Compare(t.sent[a], t.sent[b]); order != 0 {
		return order
	}
	return cmp.Compare(a, b)
}

// sortChildren sorts the children of a node; list is memory to be used.
func (t *Threads) sortChildren(n int32, list []int32) []int32 {
	list = list[:0]
	for c := t.first[n]; c != none; c = t.next[c] {
		list = append(list, c)
	}
	if len(list) < 2 {
		return list
	}
	slices.SortFunc(list, t.order)
	t.first[n] = none
	for _, c := range slices.Backward(list) {
		t.adopt(n, c)
	}
	return list
}

// adopt makes c, which has no parent, the first child of n.
func (t *Threads) adopt(n, c int32) {
	t.next[c] = t.first[n]
	t.first[n] = c
}

// Walk is a place in Threads that were appended in part. The zero value is the start.
type Walk struct {
	root  int // that comes next
	stack []step
}

// step is what is to be appended.
type step struct {
	do   stepKind
	node int32
}

type stepKind uint8

const (
	stepOpen  stepKind = iota // a list that begins with the node
	stepEach                  // a list for the node, and for each sibling behind it
	stepGoOn                  // the node in the list that is open
	stepClose                 // the end of a list
)

func (w *Walk) push(do stepKind, n int32) { w.stack = append(w.stack, step{do, n}) }

// Append appends the threads as THREAD tells them (RFC 5256 section 4) from the place
// in w on, until dst holds at least limit octets; it reports the end. number appends
// what the message at an index is called.
func (t *Threads) Append(dst []byte, w *Walk, limit int, number func(dst []byte, index uint32) []byte) (out []byte, done bool) {
	for len(dst) < limit {
		if len(w.stack) == 0 {
			if w.root == len(t.roots) {
				return dst, true
			}
			w.push(stepOpen, t.roots[w.root])
			w.root++
		}
		s := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		switch s.do {
		case stepClose:
			dst = append(dst, ')')
			continue
		case stepEach:
			if next := t.next[s.node]; next != none {
				w.push(stepEach, next)
			}
			dst = append(dst, '(')
		case stepOpen:
			dst = append(dst, '(')
		case stepGoOn:
			dst = append(dst, ' ')
		}
		dummy := t.dummy(s.node)
		if !dummy {
			dst = number(dst, t.index[s.node])
		}
		switch child := t.first[s.node]; {
		case child == none:
			dst = append(dst, ')')
		case t.next[child] == none:
			w.push(stepGoOn, child)
		default:
			if !dummy {
				dst = append(dst, ' ')
			}
			w.push(stepClose, none)
			w.push(stepEach, child)
		}
	}
	return dst, false
}

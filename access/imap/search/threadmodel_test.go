package search_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"postrider/access/imap/search"
)

// kin is a container of the plain algorithm: as RFC 5256 tells it, with pointers and
// recursion.
type kin struct {
	number   int // 0: a dummy
	parent   *kin
	children []*kin
}

func (k *kin) under(p *kin) bool {
	for a := k; a != nil; a = a.parent {
		if a == p {
			return true
		}
	}
	return false
}

func (k *kin) adopt(c *kin) {
	if k.under(c) {
		return
	}
	if c.parent != nil {
		c.parent.children = slices.DeleteFunc(c.parent.children, func(o *kin) bool { return o == c })
	}
	c.parent = k
	k.children = append(k.children, c)
}

func (k *kin) first() int {
	if k.number > 0 {
		return k.number
	}
	n := 1 << 30
	for _, c := range k.children {
		n = min(n, c.first())
	}
	return n
}

// prune returns k without dummies, as a list for the level that it is at.
func (k *kin) prune(root bool) []*kin {
	var children []*kin
	for _, c := range k.children {
		children = append(children, c.prune(false)...)
	}
	k.children = children
	for _, c := range children {
		c.parent = k
	}
	if k.number > 0 || root && len(children) > 1 {
		return []*kin{k}
	}
	return children
}

func (k *kin) String() string {
	slices.SortFunc(k.children, func(a, b *kin) int { return a.first() - b.first() })
	var parts []string
	if k.number > 0 {
		parts = append(parts, fmt.Sprint(k.number))
	}
	if len(k.children) == 1 {
		return strings.Join(append(parts, k.children[0].String()), " ")
	}
	var b strings.Builder
	for _, c := range k.children {
		fmt.Fprintf(&b, "(%s)", c)
	}
	if b.Len() > 0 {
		parts = append(parts, b.String())
	}
	return strings.Join(parts, " ")
}

// plainThreads is the algorithm for messages whose subjects are all different: refs[i]
// are the references of message i+1, whose id is i and whose date rises with it.
func plainThreads(refs [][]int) string {
	table := map[int]*kin{}
	find := func(id int) *kin {
		if table[id] == nil {
			table[id] = &kin{}
		}
		return table[id]
	}
	for i, list := range refs {
		var before *kin
		for _, id := range list {
			k := find(id)
			if before != nil && k.parent == nil {
				before.adopt(k)
			}
			before = k
		}
		k := find(i)
		k.number = i + 1
		if k.parent != nil {
			k.parent.children = slices.DeleteFunc(k.parent.children, func(o *kin) bool { return o == k })
			k.parent = nil
		}
		if before != nil {
			before.adopt(k)
		}
	}
	var roots []*kin
	for _, k := range table {
		if k.parent == nil {
			roots = append(roots, k)
		}
	}
	var kept []*kin
	for _, k := range roots {
		kept = append(kept, k.prune(true)...)
	}
	slices.SortFunc(kept, func(a, b *kin) int { return a.first() - b.first() })
	var b strings.Builder
	for _, k := range kept {
		fmt.Fprintf(&b, "(%s)", k)
	}
	return b.String()
}

// TestThreadModel compares threads with the plain algorithm, over mail whose references
// are what a few people's programs leave of them: all, the last few, or some that were
// never here.
func TestThreadModel(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		const n = 40
		refs := make([][]int, n)
		var letters []letter
		for i := range refs {
			if i > 0 && r.IntN(4) > 0 {
				p := r.IntN(i)
				refs[i] = append(slices.Clone(refs[p]), p)
				refs[i] = refs[i][r.IntN(len(refs[i])):]
			}
			if r.IntN(5) == 0 {
				refs[i] = append([]int{n + r.IntN(6)}, refs[i]...)
			}
			var b strings.Builder
			for _, id := range refs[i] {
				fmt.Fprintf(&b, " <%d@example>", id)
			}
			letters = append(letters, letter{text: lines(fmt.Sprintf("Message-ID: <%d@example>", i), "References:"+b.String(), fmt.Sprintf("Subject: %d", i), fmt.Sprintf("Date: 1 Jan 2026 00:%02d +0000", i), "", "")})
		}
		w := newWorld(t)
		w.file(t, letters...)
		got := threads(t, search.References, &search.Scope{View: w.view(t), Now: now})
		if want := plainThreads(refs); got != want {
			t.Errorf("%v:\n%s, want\n%s", refs, got, want)
		}
	}
}

// TestLongChain threads what is made to break a recursion, or to take a square of time.
//
// Covers HI4.
func TestLongChain(t *testing.T) {
	w := newWorld(t)
	var letters []letter
	const n = 1000
	for i := range n { // each answers the next one, and the last one the first
		letters = append(letters, letter{text: lines(fmt.Sprintf("Message-ID: <%d@example>", i), fmt.Sprintf("In-Reply-To: <%d@example>", (i+1)%n), fmt.Sprintf("Subject: %d", i), "", "")})
	}
	w.file(t, letters...)
	scope := &search.Scope{View: w.view(t), Now: now}
	got := threads(t, search.References, scope)
	if messagesIn(got) != n || strings.Count(got, "(") != 1 || !strings.HasPrefix(got, fmt.Sprintf("(%d %d ", n, n-1)) {
		t.Errorf("%.60s", got)
	}
}

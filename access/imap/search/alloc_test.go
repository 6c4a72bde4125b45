//go:build !race && !invariants

package search_test

import (
	"testing"

	"postrider/access/imap/search"
)

// What a search allocates depends on the program, and little on the number of messages:
// blocks of the index are read, and what was pooled goes with a collection. A kind of
// letter that costs an allocation each shows.
func TestAllocSearch(t *testing.T) {
	w := newWorld(t)
	for range 500 {
		for _, l := range someMail() {
			w.file(t, l)
		}
	}
	scope := &search.Scope{View: w.view(t), Now: now}
	var f search.Found
	var p search.Program
	for keys, most := range map[string]float64{"UNSEEN": 8, "UNSEEN LARGER 1000": 400, "SUBJECT nowhere": 400, "OR FROM nobody@ HEADER X-None none": 400} {
		parsed := parse(t, keys)
		p = *parsed
		run := func() {
			if err := p.Run(scope, search.Bound{}, &f); err != nil {
				t.Fatal(err)
			}
		}
		run() // which makes what the index keeps
		if got := testing.AllocsPerRun(3, run); got > most {
			t.Errorf("%s: %v allocations for 2000 messages, want at most %v", keys, got, most)
		}
	}
}

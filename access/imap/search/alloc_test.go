//go:build !race && !invariants

package search_test

import (
	"testing"

	"postrider/access/imap/search"
)

// What a search allocates depends on the program, not on the number of messages.
func TestAllocSearch(t *testing.T) {
	w := newWorld(t)
	for range 250 {
		for _, l := range someMail() {
			w.file(t, l)
		}
	}
	scope := &search.Scope{View: w.view(t), Now: now}
	var f search.Found
	var p search.Program
	for keys, most := range map[string]float64{"UNSEEN": 8, "UNSEEN LARGER 1000": 40, "SUBJECT nowhere": 60, "OR FROM nobody@ HEADER X-None none": 60} {
		parsed := parse(t, keys)
		p = *parsed
		run := func() {
			if err := p.Run(scope, search.Bound{}, &f); err != nil {
				t.Fatal(err)
			}
		}
		run() // which makes what the index keeps
		if got := testing.AllocsPerRun(3, run); got > most {
			t.Errorf("%s: %v allocations for 1000 messages, want at most %v", keys, got, most)
		}
	}
}

package metrics

import "sync"

// Other is the label of everything beyond a TopN's bound.
const Other = "other"

// TopN bounds the values of a label: the first n names keep theirs, all later
// ones share Other. A name that has a label keeps it for good, since a series
// that changed its meaning would be worse than one that is missing.
type TopN struct {
	n  int
	mu sync.Mutex // guards following
	in map[string]struct{}
}

// NewTopN returns a TopN of n names.
func NewTopN(n int) *TopN { return &TopN{n: n, in: make(map[string]struct{})} }

// Label returns name, or Other when there are n others already.
func (t *TopN) Label(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.in[name]; ok {
		return name
	}
	if len(t.in) >= t.n {
		return Other
	}
	t.in[name] = struct{}{}
	return name
}

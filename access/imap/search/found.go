package search

// Found is what a Run has found: indexes in the view.
type Found struct {
	Spans  []Span // ascending, not touching
	Count  int
	ModSeq uint64 // the highest of them
}

// Span is a range of indexes, both ends included.
type Span struct{ From, To uint32 }

// Reset empties f.
func (f *Found) Reset() { *f = Found{Spans: f.Spans[:0]} }

// add takes an index that is higher, or with last lower, than those before.
func (f *Found) add(i uint32, modSeq uint64, last bool) {
	f.Count++
	f.ModSeq = max(f.ModSeq, modSeq)
	if n := len(f.Spans); n > 0 {
		s := &f.Spans[n-1]
		if !last && s.To+1 == i {
			s.To = i
			return
		}
		if last && s.From == i+1 {
			s.From = i
			return
		}
	}
	f.Spans = append(f.Spans, Span{i, i})
}

// Add takes an index that is higher than those before.
func (f *Found) Add(i uint32) { f.add(i, 0, false) }

// First returns the first index; there must be one.
func (f *Found) First() uint32 { return f.Spans[0].From }

// Last returns the last index; there must be one.
func (f *Found) Last() uint32 { return f.Spans[len(f.Spans)-1].To }

// Each calls do for every index.
func (f *Found) Each(do func(i uint32)) {
	for _, s := range f.Spans {
		for i := s.From; i <= s.To; i++ {
			do(i)
		}
	}
}

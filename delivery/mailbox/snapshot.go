package mailbox

import (
	"maps"
	"slices"
	"sort"
)

// spanLen is how many entries a span of a snapshot holds at most: 8 KiB.
const spanLen = 512

// snapshot is the array of a mailbox's messages at one moment. It never changes.
// Snapshots share their spans, so that a change costs the spans that it touches,
// the views of a mailbox that stand at the same moment share everything, and the
// difference of two is found without looking at what they share.
//
// The last span, the tail, has room behind it: the newest snapshot's successor may
// append there, which older ones do not see.
type snapshot struct {
	spans []span
	tail  []Entry
	more  map[uint32]uint64 // keywords that Flags has no room for, of those that have any
}

// span is a full piece of the array.
type span struct {
	entries []Entry // never empty
	first   int     // index of the first
}

func (s *snapshot) tailFirst() int {
	if n := len(s.spans); n > 0 {
		return s.spans[n-1].first + len(s.spans[n-1].entries)
	}
	return 0
}

func (s *snapshot) len() int { return s.tailFirst() + len(s.tail) }

func (s *snapshot) at(i int) Entry {
	if t := s.tailFirst(); i >= t {
		return s.tail[i-t]
	}
	k := sort.Search(len(s.spans), func(k int) bool { return s.spans[k].first > i }) - 1
	return s.spans[k].entries[i-s.spans[k].first]
}

func findUID(entries []Entry, uid uint32) int {
	return sort.Search(len(entries), func(i int) bool { return entries[i].UID >= uid })
}

// locate returns the span, len(spans) for the tail, and the place in it of the
// first entry whose UID is at least uid.
func (s *snapshot) locate(uid uint32) (k, i int) {
	k = sort.Search(len(s.spans), func(k int) bool {
		e := s.spans[k].entries
		return e[len(e)-1].UID >= uid
	})
	return k, findUID(s.piece(k), uid)
}

// piece returns a span's entries; that of len(spans) is the tail.
func (s *snapshot) piece(k int) []Entry {
	if k == len(s.spans) {
		return s.tail
	}
	return s.spans[k].entries
}

func (s *snapshot) find(uid uint32) (int, bool) {
	k, i := s.locate(uid)
	first := s.tailFirst()
	if k < len(s.spans) {
		first = s.spans[k].first
	}
	p := s.piece(k)
	return first + i, i < len(p) && p[i].UID == uid
}

// push appends an entry. Only the newest snapshot may be pushed to, before others
// have it.
func (s *snapshot) push(e Entry) {
	s.tail = append(s.tail, e) // which grows with the mailbox: most have a few messages
	if len(s.tail) == spanLen {
		s.spans = append(s.spans, span{s.tail, s.tailFirst()})
		s.tail = nil
	}
}

// event is what happened to a message.
type event struct {
	kind  ChangeKind
	entry Entry
	more  uint64
}

// apply returns the snapshot after the events. Those that s knows already change
// nothing.
func (s *snapshot) apply(events []event) *snapshot {
	n := &builder{snapshot: *s}
	for i := range events {
		n.event(&events[i])
	}
	n.close()
	r := n.snapshot
	return &r
}

// builder is a snapshot being made from another one.
type builder struct {
	snapshot
	ownSpans bool
	ownTail  bool
	ownMore  bool
	own      map[int]bool // spans that were copied
	renumber bool
}

func (b *builder) event(e *event) {
	if e.kind == Added {
		if n := b.len(); n > 0 && b.at(n-1).UID >= e.entry.UID {
			return
		}
		b.push(e.entry)
		b.setMore(e.entry.UID, e.more)
		return
	}
	k, i := b.locate(e.entry.UID)
	p := b.piece(k)
	if i >= len(p) || p[i].UID != e.entry.UID || e.kind == Changed && p[i].ModSeq >= e.entry.ModSeq {
		return
	}
	p = b.mine(k)
	if e.kind == Changed {
		p[i] = e.entry
		b.setMore(e.entry.UID, e.more)
		return
	}
	p = slices.Delete(p, i, i+1)
	if k == len(b.spans) {
		b.tail = p
	} else {
		b.spans[k].entries = p
		b.renumber = true
		if len(p) == 0 {
			b.spans = slices.Delete(b.spans, k, k+1)
			b.own = nil // their places have moved; at worst a span is copied twice
		}
		b.number(k)
	}
	b.setMore(e.entry.UID, 0)
}

// number sets where spans begin, from the k-th on.
func (b *builder) number(k int) {
	for ; k < len(b.spans); k++ {
		first := 0
		if k > 0 {
			first = b.spans[k-1].first + len(b.spans[k-1].entries)
		}
		b.spans[k].first = first
	}
}

// mine returns a piece that may be changed.
func (b *builder) mine(k int) []Entry {
	if k == len(b.spans) {
		if !b.ownTail {
			b.tail = append(make([]Entry, 0, len(b.tail)), b.tail...)
			b.ownTail = true
		}
		return b.tail
	}
	if !b.ownSpans {
		b.spans = slices.Clone(b.spans)
		b.ownSpans = true
	}
	if !b.own[k] {
		if b.own == nil {
			b.own = make(map[int]bool)
		}
		b.spans[k].entries = slices.Clone(b.spans[k].entries)
		b.own[k] = true
	}
	return b.spans[k].entries
}

func (b *builder) setMore(uid uint32, more uint64) {
	if b.snapshot.more[uid] == more {
		return
	}
	if !b.ownMore {
		b.snapshot.more = maps.Clone(b.snapshot.more)
		b.ownMore = true
	}
	switch {
	case more == 0:
		delete(b.snapshot.more, uid)
	case b.snapshot.more == nil:
		b.snapshot.more = map[uint32]uint64{uid: more}
	default:
		b.snapshot.more[uid] = more
	}
}

// close joins spans that have become small, so that there are never many more than
// the entries need.
func (b *builder) close() {
	if !b.renumber {
		return
	}
	spans := make([]span, 0, len(b.spans))
	for _, sp := range b.spans {
		if n := len(spans); n > 0 && len(spans[n-1].entries)+len(sp.entries) <= spanLen/2 {
			spans[n-1].entries = append(slices.Clip(spans[n-1].entries), sp.entries...)
			continue
		}
		spans = append(spans, sp)
	}
	b.spans = spans
	b.number(0)
}

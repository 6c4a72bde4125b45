package search

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// ErrOrder reports what is no order.
var ErrOrder = errors.New("not a sort order")

// By is what messages are sorted by (RFC 5256 section 3, RFC 5957 section 3).
type By uint8

// The keys of SORT.
const (
	ByArrival By = iota
	BySize
	ByDate
	ByCC
	ByFrom
	ByTo
	BySubject
	ByDisplayFrom
	ByDisplayTo
	byCount
)

// Key is a part of an order.
type Key struct {
	By      By
	Reverse bool
}

// Order is the keys of a SORT, the most important first; each occurs once.
type Order struct {
	keys [byCount]Key
	n    int
}

// Parse reads an order with its parentheses.
func (o *Order) Parse(d *imapwire.Decoder) error {
	*o = Order{}
	if !d.Enter() {
		return ErrOrder
	}
	for {
		var k Key
		word, ok := d.Atom()
		if imapwire.Is(word, "REVERSE") {
			k.Reverse = true
			if !d.SP() {
				return ErrOrder
			}
			word, ok = d.Atom()
		}
		if !ok || !k.named(word) {
			return ErrOrder
		}
		o.add(k)
		if d.Leave() {
			return nil
		}
		if !d.SP() {
			return ErrOrder
		}
	}
}

// add appends a key, unless it is there already and makes no difference.
func (o *Order) add(k Key) {
	for _, have := range o.keys[:o.n] {
		if have.By == k.By {
			return
		}
	}
	o.keys[o.n] = k
	o.n++
}

func (k *Key) named(word []byte) bool {
	for by, name := range [byCount]string{"ARRIVAL", "SIZE", "DATE", "CC", "FROM", "TO", "SUBJECT", "DISPLAYFROM", "DISPLAYTO"} {
		if imapwire.Is(word, name) {
			k.By = By(by)
			return true
		}
	}
	return false
}

// Bounds of what sorting holds in memory.
const (
	longestKey = 256      // octets of a string that are compared
	keysBytes  = 64 << 20 // of all strings; in very large mailboxes they are compared to less
)

// column is the values of a key.
type column struct {
	Key
	numbers []int64  // or the first octets of the strings, in the same order
	texts   []uint32 // ends of the strings in the arena; nil: they are numbers
	arena   []byte
}

// text returns the string at a place.
func (c *column) text(i uint32) []byte {
	from := uint32(0)
	if i > 0 {
		from = c.texts[i-1]
	}
	return c.arena[from:c.texts[i]]
}

// compare compares two messages.
func (c *column) compare(a, b uint32) int {
	order := cmp.Compare(c.numbers[a], c.numbers[b])
	if order == 0 && c.texts != nil {
		order = bytes.Compare(c.text(a), c.text(b))
	}
	if c.Reverse {
		order = -order
	}
	return order
}

// Sort appends the indexes that f stands for to dst, in this order; those that are the
// same in it ascend.
func (o *Order) Sort(scope *Scope, f *Found, dst []uint32) ([]uint32, error) {
	s := sorter{columns: make([]column, o.n), limit: min(longestKey, keysBytes/max(f.Count, 1))}
	deep := false
	for i := range s.columns {
		c := &s.columns[i]
		c.Key = o.keys[i]
		c.numbers = make([]int64, f.Count)
		if c.By > ByDate {
			c.texts = make([]uint32, f.Count)
		}
		deep = deep || c.By > BySize
	}
	if err := visitFound(scope, f, deep, s.visit); err != nil {
		return dst, err
	}
	s.fillTo(uint32(f.Count))
	places := make([]uint32, f.Count)
	for i := range places {
		places[i] = uint32(i)
	}
	if err := s.sort(scope, places); err != nil {
		return dst, err
	}
	at := len(dst)
	f.Each(func(i uint32) { dst = append(dst, i) })
	indexes := dst[at:]
	for i, place := range places {
		places[i] = indexes[place]
	}
	copy(indexes, places)
	return dst, nil
}

// sorter collects what is compared.
type sorter struct {
	columns []column
	limit   int    // of a string
	filled  uint32 // places
	values  values
}

// sort sorts places.
func (s *sorter) sort(scope *Scope, places []uint32) error {
	var failed error
	n := 0
	slices.SortFunc(places, func(a, b uint32) int {
		if n++; n%(16*checkEvery) == 0 && failed == nil {
			failed = scope.check(len(places), len(places))
		}
		if failed != nil {
			return 0
		}
		for i := range s.columns {
			if order := s.columns[i].compare(a, b); order != 0 {
				return order
			}
		}
		return cmp.Compare(a, b)
	})
	return failed
}

// fillTo gives messages up to a place that are gone meanwhile nothing to compare.
func (s *sorter) fillTo(place uint32) {
	for ; s.filled < place; s.filled++ {
		for i := range s.columns {
			if c := &s.columns[i]; c.texts != nil {
				c.texts[s.filled] = uint32(len(c.arena))
			}
		}
	}
}

func (s *sorter) visit(c *candidate, m *mailbox.Meta, it *mailbox.Items) error {
	s.fillTo(c.place)
	for i := range s.columns {
		col := &s.columns[i]
		if col.texts == nil {
			col.numbers[c.place] = s.values.number(col.By, m, it)
			continue
		}
		start := len(col.arena)
		text := s.values.text(col.By, it)
		col.arena = append(col.arena, text[:min(len(text), s.limit)]...)
		col.texts[c.place] = uint32(len(col.arena))
		var first [8]byte
		copy(first[:], col.arena[start:])
		col.numbers[c.place] = int64(binary.BigEndian.Uint64(first[:]) ^ 1<<63)
	}
	s.filled = c.place + 1
	return nil
}

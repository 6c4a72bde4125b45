package search

import (
	"bytes"

	"postrider/delivery/mailbox"
)

// eval says what is known of the message that is looked at when no more than cost may
// be spent.
func (r *run) eval(i int32, cost uint8) verdict {
	n := &r.nodes[i]
	if n.cheap > cost {
		return open
	}
	var is verdict
	switch n.op {
	case opAnd:
		is = r.all(n, cost)
	case opOr:
		is = r.any(n, cost)
	default:
		if r.test(n) {
			is = holds
		}
	}
	if n.not && is != open {
		is = holds - is
	}
	return is
}

func (r *run) all(n *node, cost uint8) verdict {
	is := holds
	for c := n.first; c != 0; c = r.nodes[c].next {
		switch r.eval(c, cost) {
		case never:
			return never
		case open:
			is = open
		}
	}
	return is
}

func (r *run) any(n *node, cost uint8) verdict {
	is := never
	for c := n.first; c != 0; c = r.nodes[c].next {
		switch r.eval(c, cost) {
		case holds:
			return holds
		case open:
			is = open
		}
	}
	return is
}

// test tells whether a key holds, but for its not.
func (r *run) test(n *node) bool {
	switch n.op {
	case opAll:
		return true
	case opFlags:
		return r.entry.Flags&mailbox.Flags(n.lo) != 0
	case opMore:
		return r.view.More(r.entry.UID)>>n.lo&1 != 0
	case opRecent: // NEW is RECENT without \Seen, which lo has then
		return inRanges(r.scope.Recent, r.entry.UID) && r.entry.Flags&mailbox.Flags(n.lo) == 0
	case opModSeq:
		return r.entry.ModSeq >= uint64(n.lo)
	case opNumbers, opUIDs:
		return r.inSet(n)
	}
	switch n.op.cost() {
	case costRow:
		return r.testRow(n)
	case costText:
		return r.testText(n)
	}
	if n.op == opSent {
		day, ok := r.sentDay()
		return ok && n.lo <= day && day < n.hi
	}
	return n.op == opHeader && r.testHeader(n)
}

func (r *run) inSet(n *node) bool {
	set := &r.sets[n.set]
	switch {
	case set.Saved:
		return inRanges(r.scope.Saved, r.entry.UID)
	case n.op == opUIDs:
		return set.Contains(r.entry.UID)
	}
	return set.Contains(r.index + 1)
}

// inRanges reports that uid is in ranges, which ascend.
func inRanges(ranges []mailbox.Range, uid uint32) bool {
	lo, hi := 0, len(ranges)
	for lo < hi {
		if mid := (lo + hi) / 2; ranges[mid].To < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(ranges) && ranges[lo].From <= uid
}

func (r *run) testRow(n *node) bool {
	within := func(v int64) bool { return n.lo <= v && v < n.hi }
	switch n.op {
	case opReceived:
		return within(r.meta.Received.Unix())
	case opSaved:
		return within(r.meta.Saved.Unix())
	case opOlder: // RFC 5032 section 3
		return r.meta.Received.Unix() <= r.scope.Now.Unix()-n.lo
	case opYounger:
		return r.meta.Received.Unix() >= r.scope.Now.Unix()-n.lo
	case opSize:
		return within(r.meta.SizeBytes)
	}
	var room [40]byte
	return bytes.Equal(r.meta.EmailID.Append(room[:0]), r.bytes(n.text))
}

// sentDay returns the day of the Date field, in its own zone (RFC 9051 section 6.4.4).
func (r *run) sentDay() (int64, bool) {
	value, _ := nextNamed(r.items.Header, []byte("date"))
	d, ok := parseDate(value)
	return d.day, ok
}

// testHeader looks for a string in all fields of a name.
func (r *run) testHeader(n *node) bool {
	name, text := r.bytes(n.name), r.bytes(n.text)
	for _, header := range [...][]byte{r.items.Prefix, r.items.Header} {
		for {
			var value []byte
			if value, header = nextNamed(header, name); value == nil {
				break
			}
			if len(text) == 0 || r.valueHolds(value, text) {
				return true
			}
		}
	}
	return false
}

// valueHolds looks for folded text in a value.
func (r *run) valueHolds(value, text []byte) bool {
	r.folded = appendFold(r.folded[:0], r.words.text(value))
	return bytes.Contains(r.folded, text)
}

// wanted says what must be at hand of the messages in the index.
func (p *Program) wanted() mailbox.Wanted {
	if p.nodes[0].dear < costItems {
		return 0
	}
	wanted := mailbox.WantItems
	for i := range p.nodes {
		switch p.nodes[i].op {
		case opText:
			wanted |= mailbox.WantPrefix
		case opHeader: // what stands before the text for one recipient has none of the usual fields
			switch string(p.bytes(p.nodes[i].name)) {
			case "from", "to", "cc", "bcc", "subject":
			default:
				wanted |= mailbox.WantPrefix
			}
		}
	}
	return wanted
}

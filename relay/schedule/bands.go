package schedule

// The bands, best first: who waits in front of a screen, ordinary mail, what was
// sent in bulk, and what was tried before.
const (
	BandInteractive uint8 = iota
	BandNormal
	BandBulk
	BandRetry

	NumBands = iota
)

// BandName is the band's word in logs and metrics.
func BandName(band uint8) string {
	switch band {
	case BandInteractive:
		return "interactive"
	case BandNormal:
		return "normal"
	case BandBulk:
		return "bulk"
	case BandRetry:
		return "retry"
	}
	return "unknown"
}

// A band is served by virtual time, too: each transaction moves its tag on by its
// stride, and the band with the lowest tag is next. A stride of one slot in a
// hundred is strideUnit.
const strideUnit = 1 << 20

// band is one of the four of an order: the flows that have something ready in it,
// as a heap with the one that was served least on top.
type band struct {
	heap []int32 // indexes into Order.flows
	v    int64   // tag at which the last transaction started
	last int64   // highest tag that was given
	tag  int64   // of the band among the bands
}

// stride is how far a transaction of band b moves the band's tag. What the order
// has of retries may not be more than its share even where only a band with a
// small share competes.
func (o *Order) stride(b uint8) int64 {
	share := o.o.Shares[b]
	if b == BandRetry {
		others := 0
		for i := range o.bands[:BandRetry] {
			if len(o.bands[i].heap) > 0 {
				others += o.o.Shares[i]
			}
		}
		most := float64(others) * o.o.RetryShare / (1 - o.o.RetryShare)
		if others > 0 && float64(share) > most {
			return int64(100 * strideUnit / most)
		}
	}
	return int64(100*strideUnit) / int64(share)
}

// A flow's place in the heap of a band is kept in its line, so that it can leave
// from the middle.

func (o *Order) push(b uint8, f int32) {
	h := append(o.bands[b].heap, f)
	o.bands[b].heap = h
	o.up(b, len(h)-1)
}

func (o *Order) pull(b uint8, f int32) {
	at := int(o.flows[f].lines[b].at)
	h := o.bands[b].heap
	end := len(h) - 1
	o.flows[f].lines[b].at = -1
	moved := h[end]
	o.bands[b].heap = h[:end]
	if at == end {
		return
	}
	h[at] = moved
	o.flows[moved].lines[b].at = int32(at)
	o.down(b, at)
	o.up(b, int(o.flows[moved].lines[b].at))
}

// tag sets a line's tag.
func (o *Order) tag(bd *band, l *line, tag int64) {
	o.turns++
	l.tag, l.turn = tag, o.turns
	bd.last = max(bd.last, tag)
}

// before reports whether a line is served before another.
func (l *line) before(k *line) bool {
	return l.tag < k.tag || l.tag == k.tag && int32(l.turn-k.turn) < 0
}

func (o *Order) up(b uint8, at int) {
	h := o.bands[b].heap
	f := h[at]
	l := &o.flows[f].lines[b]
	for at > 0 {
		over := (at - 1) / 2
		k := &o.flows[h[over]].lines[b]
		if !l.before(k) {
			break
		}
		h[at] = h[over]
		k.at = int32(at)
		at = over
	}
	h[at] = f
	l.at = int32(at)
}

func (o *Order) down(b uint8, at int) {
	h := o.bands[b].heap
	f := h[at]
	l := &o.flows[f].lines[b]
	for {
		under := 2*at + 1
		if under >= len(h) {
			break
		}
		k := &o.flows[h[under]].lines[b]
		if under+1 < len(h) {
			if r := &o.flows[h[under+1]].lines[b]; r.before(k) {
				k = r
				under++
			}
		}
		if !k.before(l) {
			break
		}
		h[at] = h[under]
		k.at = int32(at)
		at = under
	}
	h[at] = f
	l.at = int32(at)
}

// least returns the flow with the lowest tag below at that may have another slot,
// -1 when there is none. Only what may not is walked through: each of those holds
// its full share of the slots, so they are few.
func (o *Order) least(b uint8, at int) int32 {
	h := o.bands[b].heap
	if at >= len(h) {
		return -1
	}
	f := h[at]
	if !o.full(f) {
		return f
	}
	left, right := o.least(b, 2*at+1), o.least(b, 2*at+2)
	if left < 0 || right >= 0 && o.flows[right].lines[b].before(&o.flows[left].lines[b]) {
		return right
	}
	return left
}

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
	heap []entry
	v    int64 // tag at which the last transaction started
	last int64 // highest tag that was given
	tag  int64 // of the band among the bands
}

// stride is how far a transaction of band b moves the band's tag. What the order
// has of retries may not be more than its share even where only a band with a
// small share competes.
func (o *Order) stride(b uint8) int64 {
	if b == BandRetry {
		share := o.o.Shares[b]
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
	return o.strides[b]
}

// entry is a flow's line in the heap of a band. Where in the heap it is stands in the
// line, so that it can leave from the middle. Four entries are a cache line, so the
// heap has four branches.
type entry struct {
	tag  int64
	turn uint32 // of equal tags the one that was given first is next
	flow int32  // index into Order.flows
}

const branches = 4

func (e *entry) before(k *entry) bool {
	return e.tag < k.tag || e.tag == k.tag && int32(e.turn-k.turn) < 0
}

// entryOf gives a flow's line a tag.
func (o *Order) entryOf(bd *band, b uint8, f int32, tag int64) entry {
	o.turns++
	o.flows[f].lines[b].tag = tag
	bd.last = max(bd.last, tag)
	return entry{tag, o.turns, f}
}

// put is where an entry comes to rest.
func (o *Order) put(b uint8, at int, e entry) {
	o.bands[b].heap[at] = e
	o.flows[e.flow].lines[b].at = int32(at)
}

func (o *Order) push(b uint8, e entry) {
	o.bands[b].heap = append(o.bands[b].heap, e)
	o.up(b, len(o.bands[b].heap)-1, e)
}

func (o *Order) pull(b uint8, f int32) {
	at := int(o.flows[f].lines[b].at)
	h := o.bands[b].heap
	last := len(h) - 1
	e := h[last]
	o.bands[b].heap = h[:last]
	o.flows[f].lines[b].at = -1
	switch {
	case at == last:
	case at > 0 && e.before(&h[(at-1)/branches]):
		o.up(b, at, e)
	default:
		o.down(b, at, e)
	}
}

// up puts an entry at a place or above it.
func (o *Order) up(b uint8, at int, e entry) {
	h := o.bands[b].heap
	for at > 0 {
		over := (at - 1) / branches
		if !e.before(&h[over]) {
			break
		}
		o.put(b, at, h[over])
		at = over
	}
	o.put(b, at, e)
}

// down puts an entry at a place or below it.
func (o *Order) down(b uint8, at int, e entry) {
	h := o.bands[b].heap
	for {
		first := branches*at + 1
		if first >= len(h) {
			break
		}
		best := first
		for k := first + 1; k < min(first+branches, len(h)); k++ {
			if h[k].before(&h[best]) {
				best = k
			}
		}
		if !h[best].before(&e) {
			break
		}
		o.put(b, at, h[best])
		at = best
	}
	o.put(b, at, e)
}

// least returns where in the heap below at the first flow is that may have another
// slot, -1 when there is none. Only what may not is walked through: each of those
// holds its full share of the slots, so they are few.
func (o *Order) least(b uint8, at int) int {
	h := o.bands[b].heap
	if at >= len(h) {
		return -1
	}
	if !o.full(h[at].flow) {
		return at
	}
	best := -1
	for k := branches*at + 1; k <= branches*at+branches; k++ {
		if c := o.least(b, k); c >= 0 && (best < 0 || h[c].before(&h[best])) {
			best = c
		}
	}
	return best
}

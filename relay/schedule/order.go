package schedule

// OrderOptions shape an order. The zero value is right for a lane of a queue that
// has only one.
type OrderOptions struct {
	// Buckets is the table that all orders of one queue share; nil: one of its own.
	Buckets *Buckets
	// Shares are the least shares of the bands in hundredths of the slots, while all
	// have something ready; what a band does not use goes to the others. All 0: 50,
	// 30, 15, 5.
	Shares [NumBands]int
	// FlowShare is the most that one flow holds of the transactions under way while
	// others wait; 0: a half.
	FlowShare float64
	// RetryShare is the most that retries get while other bands wait; 0: a fifth.
	RetryShare float64
	// Weight is how many shares a flow has, at least 1; nil: 1. It is called under
	// the lock of the order's owner.
	Weight func(flow uint32) int
}

// Order is the pull order inside one lane: which of the buckets that have
// something ready is next. Band before band by their shares, inside a band the
// flow that was served least, of a flow one bucket after the other.
//
// Inside a band it is start-time fair queueing: a flow's tag moves on by what its
// transactions cost, the flow with the lowest tag is next, and who comes back after
// a rest starts at the band's present time. So a new flow waits for at most one
// transaction of each flow that is there, whatever they have queued; a round robin
// with deficits promises the same, but must go round for as long as nobody has
// credit.
//
// An Order does not lock: the lock of the queue that calls it covers it.
type Order struct {
	o     OrderOptions
	t     *Buckets
	index map[uint32]int32 // flow's number -> index
	flows []flow
	spare int32 // first of the free entries of flows, linked by their id; -1: none
	sweep int   // where the search for idle flows goes on

	bands   [NumBands]band
	v       int64 // time among the bands
	strides [NumBands]int64
	probe   bool
	opens   int64 // when the first suspended flow opens; 0: none is suspended
	looked  int64 // time of the last Next, Unix milliseconds

	turns    uint32
	inflight int // transactions
	retries  int // of those
}

// flow is one sender in one lane.
type flow struct {
	lines    [NumBands]line
	until    int64  // suspended; 0: not
	kinds    uint64 // of its transactions under way, oldest in the lowest bit: 1 is a retry
	id       uint32
	inflight int32
	used     bool
}

// line is what a flow has ready in one band.
type line struct {
	tag  int64
	head uint32 // the bucket that is next in its ring
	at   int32  // in the band's heap; -1: not in it
	any  bool   // there is a ring
}

// NewOrder returns an empty order.
func NewOrder(o OrderOptions) *Order {
	if o.Buckets == nil {
		o.Buckets = NewBuckets()
	}
	if o.Shares == [NumBands]int{} {
		o.Shares = [NumBands]int{50, 30, 15, 5}
	}
	for i := range o.Shares {
		o.Shares[i] = max(o.Shares[i], 1)
	}
	if o.FlowShare <= 0 {
		o.FlowShare = 0.5
	}
	if o.RetryShare <= 0 || o.RetryShare >= 1 {
		o.RetryShare = 0.2
	}
	q := &Order{o: o, t: o.Buckets, index: map[uint32]int32{}, spare: -1}
	for b, share := range o.Shares {
		q.strides[b] = 100 * strideUnit / int64(share)
	}
	return q
}

// Add tells of a bucket in which something got ready.
func (o *Order) Add(bucket, flow uint32, band uint8) {
	band = min(band, NumBands-1)
	n := o.t.at(bucket)
	if n.line&linked != 0 {
		return
	}
	f := o.flowOf(flow)
	l := &o.flows[f].lines[band]
	o.t.insert(bucket, n, l.head, !l.any)
	n.line = uint32(f)<<flowShift | uint32(band)<<bandShift | linked
	if l.any {
		return
	}
	l.any, l.head = true, bucket
	if o.flows[f].until == 0 {
		o.arise(band, f)
	}
}

// arise puts a flow that has something ready into its band. Nobody saves up turns
// while away: it starts at the present time.
func (o *Order) arise(b uint8, f int32) {
	bd := &o.bands[b]
	if len(bd.heap) == 0 {
		bd.tag = max(bd.tag, o.v)
	}
	o.push(b, o.entryOf(bd, b, f, max(o.flows[f].lines[b].tag, bd.v)))
}

// Remove tells that nothing in the bucket is ready any more.
func (o *Order) Remove(bucket uint32) {
	n := o.t.known(bucket)
	if n == nil || n.line&linked == 0 {
		return
	}
	n.line &^= linked
	f, b := int32(n.line>>flowShift), uint8(n.line>>bandShift&3)
	l := &o.flows[f].lines[b]
	if n.next != bucket {
		if l.head == bucket {
			l.head = n.next
		}
		o.t.remove(n)
		return
	}
	l.any = false
	if l.at < 0 {
		return
	}
	o.pull(b, f)
	if bd := &o.bands[b]; len(bd.heap) == 0 {
		bd.v = bd.last // the band rests: whoever comes next starts with nothing owed
	}
}

// Next returns the bucket whose turn it is; false when nothing may be taken now.
// It changes nothing until Took.
func (o *Order) Next(nowMilli int64) (bucket uint32, ok bool) {
	o.wakeFlows(nowMilli)
	tried := uint8(0)
	for range o.bands {
		b := o.nextBand(tried)
		if b < 0 {
			break
		}
		tried |= 1 << b
		if b == int(BandRetry) && o.retries > 0 && float64(o.retries+1) > o.o.RetryShare*float64(o.inflight+1) && !o.probe {
			continue
		}
		if at := o.least(uint8(b), 0); at >= 0 {
			return o.flows[o.bands[b].heap[at].flow].lines[b].head, true
		}
	}
	// Whoever has its full share may have more when nobody else wants it.
	if b := o.nextBand(0); b >= 0 {
		return o.flows[o.bands[b].heap[0].flow].lines[b].head, true
	}
	return 0, false
}

// nextBand returns the band that is next among those not tried, -1 when none is
// left.
func (o *Order) nextBand(tried uint8) int {
	best := -1
	for b := range o.bands {
		if len(o.bands[b].heap) == 0 || tried&(1<<b) != 0 {
			continue
		}
		if best < 0 || !o.probe && o.bands[b].tag < o.bands[best].tag {
			best = b
		}
	}
	return best
}

// full reports that a flow holds its share of the transactions under way.
func (o *Order) full(f int32) bool {
	n := o.flows[f].inflight
	return n > 0 && float64(n+1) > o.o.FlowShare*float64(o.inflight+1) && !o.probe
}

// Probe says that the lane tries out whether its site is back: while on, the best
// band goes first whatever the shares, so that the canary is a message that
// somebody waits for; flow after flow, so that it is another one each time.
func (o *Order) Probe(on bool) { o.probe = on }

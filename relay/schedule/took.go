package schedule

// One transaction costs as much as 64 KiB of text or ten recipients.
const (
	costTransaction = 1 << 16
	costRecipient   = costTransaction / 10
)

// Took tells what was leased from a bucket that Next has named. bytes is 0 when the
// size is not known.
func (o *Order) Took(bucket uint32, bytes int64, recipients int) {
	n := o.t.known(bucket)
	if n == nil {
		return
	}
	f, b := int32(n.line>>flowShift), uint8(n.line>>bandShift&3)
	fl, bd := &o.flows[f], &o.bands[b]
	l := &fl.lines[b]
	cost := costTransaction + max(bytes, 0) + int64(recipients)*costRecipient
	if o.o.Weight != nil {
		cost /= int64(max(o.o.Weight(fl.id), 1))
	}
	// A flow that was passed over because it was full has not saved that up.
	bd.v = max(bd.v, l.tag)
	if e := o.entryOf(bd, b, f, bd.v+max(cost, 1)); l.at >= 0 {
		o.down(b, int(l.at), e)
	}
	if n.line&linked != 0 {
		l.head = n.next
	}
	o.v = max(o.v, bd.tag)
	bd.tag = o.v + o.stride(b)

	retry := uint64(0)
	if b == BandRetry {
		retry = 1
		if fl.inflight < 64 {
			o.retries++
		}
	}
	if fl.inflight < 64 {
		fl.kinds |= retry << fl.inflight
	}
	fl.inflight++
	o.inflight++
}

// Done tells that a transaction of the flow that Took has told of has ended: the
// oldest, as far as the shares go.
func (o *Order) Done(flow uint32) {
	f, known := o.index[flow]
	if !known || o.flows[f].inflight == 0 {
		return
	}
	fl := &o.flows[f]
	o.retries -= int(fl.kinds & 1)
	fl.kinds >>= 1
	fl.inflight--
	o.inflight--
}

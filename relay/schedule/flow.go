package schedule

// flowOf returns the index of a flow, which it makes on first use.
func (o *Order) flowOf(id uint32) int32 {
	if f, known := o.index[id]; known {
		return f
	}
	o.forget()
	f := o.spare
	if f >= 0 {
		o.spare = int32(o.flows[f].id)
	} else {
		f = int32(len(o.flows))
		o.flows = append(o.flows, flow{})
	}
	fl := &o.flows[f]
	*fl = flow{id: id, used: true}
	for b := range fl.lines {
		fl.lines[b].at = -1
	}
	o.index[id] = f
	return f
}

// forget looks at two flows, and frees what tells nothing any more. With two looks
// for each new flow the table stays about as large as what it must hold.
func (o *Order) forget() {
	for range min(2, len(o.flows)) {
		if o.sweep >= len(o.flows) {
			o.sweep = 0
		}
		f := int32(o.sweep)
		o.sweep++
		if fl := &o.flows[f]; fl.used && o.idle(fl) {
			delete(o.index, fl.id)
			*fl = flow{id: uint32(o.spare)}
			o.spare = f
		}
	}
}

// idle reports a flow that has nothing ready and nothing under way, is not
// suspended and owes nothing.
func (o *Order) idle(fl *flow) bool {
	if fl.inflight > 0 || fl.until != 0 {
		return false
	}
	for b := range fl.lines {
		if fl.lines[b].any || fl.lines[b].tag > o.bands[b].v {
			return false
		}
	}
	return true
}

// clockBack is how far the time may go back without a leap being suspected: calls
// may come a little out of order.
const clockBack = 1000

// wakeFlows lets those take part again whose suspension is over.
func (o *Order) wakeFlows(nowMilli int64) {
	back := o.looked - nowMilli
	o.looked = nowMilli
	if o.opens == 0 {
		return
	}
	if back > clockBack { // the clock was put back: no suspension becomes longer by it
		for f := range o.flows {
			if u := &o.flows[f].until; *u != 0 {
				*u -= back
			}
		}
		o.opens -= back
	}
	if nowMilli < o.opens {
		return
	}
	o.opens = 0
	for f := range o.flows {
		fl := &o.flows[f]
		switch {
		case fl.until == 0:
		case fl.until <= nowMilli:
			o.resume(int32(f))
		default:
			o.opensAt(fl.until)
		}
	}
}

func (o *Order) opensAt(milli int64) {
	if o.opens == 0 || milli < o.opens {
		o.opens = milli
	}
}

// Suspend passes over a flow until a moment in Unix milliseconds; a moment that is
// no later than the last Next's ends a suspension.
func (o *Order) Suspend(flow uint32, untilMilli int64) {
	f := o.flowOf(flow)
	fl := &o.flows[f]
	if untilMilli <= o.looked || untilMilli <= 0 {
		if fl.until != 0 {
			o.resume(f)
		}
		return
	}
	fl.until = untilMilli
	o.opensAt(untilMilli)
	for b := range fl.lines {
		if fl.lines[b].at >= 0 {
			o.pull(uint8(b), f)
		}
	}
}

func (o *Order) resume(f int32) {
	fl := &o.flows[f]
	fl.until = 0
	for b := range fl.lines {
		if fl.lines[b].any {
			o.arise(uint8(b), f)
		}
	}
}

// Suspended returns until when a flow is passed over, in Unix milliseconds; 0 when
// it is not.
func (o *Order) Suspended(flow uint32) int64 {
	if f, known := o.index[flow]; known {
		return o.flows[f].until
	}
	return 0
}

// NextAt returns when something that is suspended may be taken, in Unix
// milliseconds; 0 when nothing is suspended, or something may be taken now.
func (o *Order) NextAt(nowMilli int64) int64 {
	o.wakeFlows(nowMilli)
	for b := range o.bands {
		if len(o.bands[b].heap) > 0 {
			return 0
		}
	}
	return o.opens
}

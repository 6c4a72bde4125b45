package mailbox

// differ walks through two snapshots side by side.
type differ struct {
	old, new *snapshot
	keep     bool         // entries that are gone stay
	f        func(Change) // may be nil
	index    int          // in what becomes of the view
	out      *snapshot    // with keep
}

// side is a place in a snapshot.
type side struct {
	s    *snapshot
	k    int
	rest []Entry // of piece k
}

func (p *side) begin(s *snapshot) {
	p.s, p.k, p.rest = s, 0, s.piece(0)
	p.skip()
}

// skip goes on to the next piece at the end of one.
func (p *side) skip() {
	for len(p.rest) == 0 && p.k < len(p.s.spans) {
		p.k++
		p.rest = p.s.piece(p.k)
	}
}

func (p *side) next(n int) {
	p.rest = p.rest[n:]
	p.skip()
}

// run tells of all changes, in the order of UIDs.
func (d *differ) run() {
	var a, b side
	a.begin(d.old)
	b.begin(d.new)
	if d.keep {
		d.out = &snapshot{more: d.new.more}
	}
	for len(a.rest) > 0 || len(b.rest) > 0 {
		switch {
		case len(a.rest) > 0 && len(b.rest) > 0 && &a.rest[0] == &b.rest[0]:
			n := min(len(a.rest), len(b.rest)) // the same memory: nothing has changed in it
			d.push(b.rest[:n])
			a.next(n)
			b.next(n)
		case len(b.rest) == 0 || len(a.rest) > 0 && a.rest[0].UID < b.rest[0].UID:
			d.gone(a.rest[0])
			a.next(1)
		case len(a.rest) == 0 || b.rest[0].UID < a.rest[0].UID:
			d.tell(Added, b.rest[0])
			d.push(b.rest[:1])
			b.next(1)
		default:
			if a.rest[0] != b.rest[0] {
				d.tell(Changed, b.rest[0])
			}
			d.push(b.rest[:1])
			a.next(1)
			b.next(1)
		}
	}
}

func (d *differ) tell(k ChangeKind, e Entry) {
	if d.f != nil {
		d.f(Change{k, d.index, e})
	}
}

func (d *differ) gone(e Entry) {
	if d.keep {
		one := [1]Entry{e}
		d.push(one[:])
		return
	}
	d.tell(Expunged, e)
}

// push takes entries over into what becomes of the view.
func (d *differ) push(entries []Entry) {
	d.index += len(entries)
	if !d.keep {
		return
	}
	o := d.out
	if len(entries) >= spanLen/4 { // shared as it is
		if len(o.tail) > 0 {
			o.spans = append(o.spans, span{o.tail, o.tailFirst()})
			o.tail = nil
		}
		o.spans = append(o.spans, span{entries[:len(entries):len(entries)], o.tailFirst()})
		return
	}
	for _, e := range entries {
		o.push(e)
	}
}

// anyGone reports whether the view would lose entries.
func anyGone(before, now *snapshot) bool {
	var a, b side
	a.begin(before)
	b.begin(now)
	for len(a.rest) > 0 {
		switch {
		case len(b.rest) == 0 || a.rest[0].UID < b.rest[0].UID:
			return true
		case &a.rest[0] == &b.rest[0]:
			n := min(len(a.rest), len(b.rest))
			a.next(n)
			b.next(n)
		case a.rest[0].UID > b.rest[0].UID:
			b.next(1)
		default:
			a.next(1)
			b.next(1)
		}
	}
	return false
}

package sink

import (
	"time"

	"postrider/bench/ledger"
)

// delivery is a message that was taken for some recipients.
type delivery struct {
	header ledger.Header
	found  bool // header was there
	whole  bool // the body has the hash of header
	shard  uint
	rcpts  []recipient
}

// deliver accounts for a message.
func (f *Farm) deliver(d *delivery) {
	l := f.o.Ledger
	ours := d.found && (l == nil || d.header.Run == l.Run())
	if !d.found {
		f.misses.Add(1)
	}
	first, n := false, 0
	for i := range d.rcpts {
		r := &d.rcpts[i]
		if r.place.reports {
			continue
		}
		n++
		r.place.n.delivered.Add(1)
		if r.none && ours && len(d.rcpts) == 1 { // a mailbox; the header alone names the duty
			r.duty = duty{seq: d.header.Seq}
		}
		switch {
		case l == nil:
		case r.none || d.found && !ours:
			l.Strange(1)
		default:
			fresh, _ := l.Delivered(r.seq, int(r.n), d.whole)
			first = first || fresh
		}
	}
	if !ours || n == 0 {
		return
	}
	if first {
		l.Order(d.header.Worker, d.header.Seq)
	}
	if d.header.Intended < f.measure.Load() {
		return
	}
	micros := min(max(0, time.Now().UnixMicro()-d.header.Intended), maxLatency)
	f.latency.record(d.shard, micros, n)
	for i := range d.rcpts {
		if p := d.rcpts[i].place; !p.reports {
			p.endToEnd.record(micros)
			p.b.took.record(d.shard, micros, 1)
		}
	}
}

// heed accounts for a DSN.
func (f *Farm) heed(d *dsnParser) {
	reports, l := d.finish(), f.o.Ledger
	if len(reports) == 0 {
		f.notices.unread.Add(1)
	}
	for _, r := range reports {
		known := r.known && (l == nil || !d.hasRun || d.run == l.Run())
		switch r.action {
		case failed:
			f.notices.bounces.Add(1)
		case delayed:
			f.notices.delays.Add(1)
		default:
			f.notices.other.Add(1)
			continue
		}
		switch {
		case l == nil:
		case !known:
			l.Strange(1)
		case r.action == failed:
			l.Bounced(r.seq, r.n)
		default:
			l.Delayed(r.seq, r.n)
		}
	}
}

package load

import "sync/atomic"

// Counts are totals. For each kind of end, messages and their recipients. A
// message that is offered again is counted when it ends.
type Counts struct {
	Accepted, Refused, Unknown, Unsent                         int64 // messages
	AcceptedDuties, RefusedDuties, UnknownDuties, UnsentDuties int64
	Bytes                                                      int64 // of the accepted texts
	Sent                                                       int64 // messages that were begun
	Retried                                                    int64 // tries beyond the first
	// Missed are the messages of an open loop that found no free connection at
	// their moment, or within MissedAfter of it. They were sent late, which
	// Response shows; those that could not be sent until the end are Abandoned
	// and in no other count.
	Missed, Abandoned int64
	Connections       int64 // that were set up
	Resumed           int64 // of them by a resumed TLS session
	Failures          int64 // connections that failed
}

// sub returns c less d.
func (c Counts) sub(d Counts) Counts {
	c.each(&d, func(a *int64, b int64) { *a -= b })
	return c
}

func (c *Counts) add(d *Counts) { c.each(d, func(a *int64, b int64) { *a += b }) }

func (c *Counts) each(d *Counts, f func(a *int64, b int64)) {
	f(&c.Accepted, d.Accepted)
	f(&c.Refused, d.Refused)
	f(&c.Unknown, d.Unknown)
	f(&c.Unsent, d.Unsent)
	f(&c.AcceptedDuties, d.AcceptedDuties)
	f(&c.RefusedDuties, d.RefusedDuties)
	f(&c.UnknownDuties, d.UnknownDuties)
	f(&c.UnsentDuties, d.UnsentDuties)
	f(&c.Bytes, d.Bytes)
	f(&c.Sent, d.Sent)
	f(&c.Retried, d.Retried)
	f(&c.Missed, d.Missed)
	f(&c.Abandoned, d.Abandoned)
	f(&c.Connections, d.Connections)
	f(&c.Resumed, d.Resumed)
	f(&c.Failures, d.Failures)
}

// tally is Counts as they grow, written by one goroutine.
type tally struct {
	accepted, refused, unknown, unsent     atomic.Int64
	acceptedD, refusedD, unknownD, unsentD atomic.Int64
	bytes, sent, retried                   atomic.Int64
	missed, abandoned                      atomic.Int64
	connections, resumed, failures         atomic.Int64
	_                                      [64]byte // keeps workers off each other's cache line
}

func (t *tally) load() Counts {
	return Counts{
		Accepted: t.accepted.Load(), Refused: t.refused.Load(), Unknown: t.unknown.Load(), Unsent: t.unsent.Load(),
		AcceptedDuties: t.acceptedD.Load(), RefusedDuties: t.refusedD.Load(),
		UnknownDuties: t.unknownD.Load(), UnsentDuties: t.unsentD.Load(),
		Bytes: t.bytes.Load(), Sent: t.sent.Load(), Retried: t.retried.Load(),
		Missed: t.missed.Load(), Abandoned: t.abandoned.Load(),
		Connections: t.connections.Load(), Resumed: t.resumed.Load(), Failures: t.failures.Load(),
	}
}

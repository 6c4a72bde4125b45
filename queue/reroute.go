package queue

// reroutes asks Options.Reroute about the recipients of a job that are deferred, and
// returns the buckets, in use, of those that go another way from now on; nil when
// none does, which is nearly always.
func (q *Queue) reroutes(j *Job, results []Result) []uint32 {
	if q.o.Reroute == nil {
		return nil
	}
	var moves []uint32
	for k := range results {
		if r := &results[k]; r.State != Deferred || !r.Attempt {
			continue
		}
		way := q.o.Reroute([]byte(j.Domain), []byte(j.Via), int(j.Attempts[k])+1)
		if string(way) == j.Via {
			continue
		}
		if moves == nil {
			moves = make([]uint32, len(results))
		}
		domain, flow := q.nameOf(j.slots[k])
		moves[k] = q.useBucketOf([]byte(domain), &Placement{Flow: []byte(flow), Via: way, Band: BandRetry})
	}
	return moves
}

// nameOf returns the domain and the flow of a leased slot.
func (q *Queue) nameOf(i uint32) (domain, flow string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.bk.At(q.tb.At(i).Bucket)
	return q.dests[b.Dest].domain, q.flows.name(b.Flow)
}

// rerouteLocked moves slot i, which is in no bucket's line, to a bucket that reroutes
// has returned, unless it has ended meanwhile.
func (q *Queue) rerouteLocked(i, to uint32) {
	s := q.tb.At(i)
	if State(s.State()) == Deferred {
		q.joinLocked(to)
		q.leaveLocked(s.Bucket)
		s.Bucket = to
	}
	q.bk.At(to).Uses--
}

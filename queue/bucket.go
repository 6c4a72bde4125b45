package queue

import (
	"postrider/internal/mail"
	"postrider/queue/internal/rows"
	"postrider/queue/internal/table"
)

// Placement says where a recipient waits beside its domain.
type Placement struct {
	Flow []byte // whose mail it is, for a fair order; it rests on disk with the recipient
	Via  []byte // by which way it goes, as Bind knows it; it rests on disk with the recipient
	Band uint8  // 0 to 3; BandRetry is set by the queue
}

// BandRetry is the band of a recipient that was attempted and deferred.
const BandRetry = 3

// maxPlacement is what is kept of a flow and of a via.
const maxPlacement = 255

// dest is a destination: a recipient domain and the way by which it goes. Which
// lane it belongs to is decided by Options.Bind and kept in memory only, so a
// change of routes moves destinations, not recipients. It exists while a bucket
// names it. Queue.mu guards it.
type dest struct {
	domain  string
	via     string
	number  uint32
	lane    *Lane
	waiting int    // recipients in any state
	buckets uint32 // the first of those that name it
	same    uint32 // another destination of the same domain; 0: none
}

// sweepBuckets is how many unused buckets are kept, and their destinations bound,
// before they are forgotten; Bind is asked again when one returns.
const sweepBuckets = 1 << 16

// place asks Options.Place about a recipient.
func (q *Queue) place(env *mail.Envelope, rcpt int, p *Placement) {
	*p = Placement{}
	if q.o.Place == nil {
		return
	}
	q.o.Place(env, rcpt, p)
	p.Flow, p.Via = p.Flow[:min(len(p.Flow), maxPlacement)], p.Via[:min(len(p.Via), maxPlacement)]
	p.Band = min(p.Band, BandRetry)
}

// useBucket returns the number of the bucket of a recipient, bound to a lane, and
// keeps it until unuse. It may call Place and Bind, so no lock may be held.
// p and scratch are memory to use.
func (q *Queue) useBucket(env *mail.Envelope, rcpt int, p *Placement, scratch []byte) (uint32, []byte) {
	q.place(env, rcpt, p)
	scratch = rows.AppendLower(scratch[:0], mail.DomainOf(env.Recipients[rcpt].Address))
	return q.useBucketOf(scratch, p), scratch
}

func (q *Queue) useBucketOf(domain []byte, p *Placement) uint32 {
	for {
		q.mu.Lock()
		if n := q.destLocked(domain, p.Via); n != 0 {
			b := q.bucketLocked(n, q.flows.intern(p.Flow), p.Band)
			q.bk.At(b).Uses++
			q.mu.Unlock()
			return b
		}
		epoch := q.bindEpoch
		q.mu.Unlock()
		key := q.bind(domain, p.Via)
		q.mu.Lock()
		if n := q.destLocked(domain, p.Via); n == 0 && epoch == q.bindEpoch {
			n = q.addDestLocked(string(domain), string(p.Via), q.laneLocked(key))
			b := q.bucketLocked(n, q.flows.intern(p.Flow), p.Band)
			q.bk.At(b).Uses++
			q.mu.Unlock()
			return b
		}
		q.mu.Unlock()
	}
}

func (q *Queue) bind(domain, via []byte) string {
	if q.o.Bind == nil {
		return ""
	}
	return q.o.Bind(domain, via)
}

// destLocked returns the number of a destination, or 0.
func (q *Queue) destLocked(domain, via []byte) uint32 {
	n := q.destOf[string(domain)]
	for n != 0 && q.dests[n].via != string(via) {
		n = q.dests[n].same
	}
	return n
}

func (q *Queue) addDestLocked(domain, via string, l *Lane) uint32 {
	d := &dest{domain: domain, via: via, lane: l, same: q.destOf[domain]}
	if n := len(q.destFree); n > 0 {
		d.number = q.destFree[n-1]
		q.destFree = q.destFree[:n-1]
		q.dests[d.number] = d
	} else {
		d.number = uint32(len(q.dests))
		q.dests = append(q.dests, d)
	}
	q.destOf[domain] = d.number
	return d.number
}

// dropDestLocked forgets a destination that no bucket names.
func (q *Queue) dropDestLocked(d *dest) {
	if first := q.destOf[d.domain]; first != d.number {
		for n := first; ; n = q.dests[n].same {
			if q.dests[n].same == d.number {
				q.dests[n].same = d.same
				break
			}
		}
	} else if d.same != 0 {
		q.destOf[d.domain] = d.same
	} else {
		delete(q.destOf, d.domain)
	}
	q.dests[d.number] = nil
	q.destFree = append(q.destFree, d.number)
}

// bucketLocked returns the bucket of a destination, a flow and a band, which is made
// on first use.
func (q *Queue) bucketLocked(destination, flow uint32, band uint8) uint32 {
	if b := q.bk.Find(destination, flow, band); b != 0 {
		return b
	}
	b := q.bk.Alloc(destination, flow, band)
	q.flows.use(flow)
	q.bk.Join(&q.dests[destination].buckets, b)
	// Of what is unused a hand finds a little with each new one: forgetting all at
	// once would stop everybody.
	if q.bk.Len() > sweepBuckets+2*q.bucketsUsed {
		q.bk.At(b).Uses++
		for range sweepSteps {
			if i := q.bk.Unused(sweepReach); i != 0 {
				q.dropBucketLocked(i)
			}
		}
		q.bk.At(b).Uses--
	}
	return b
}

// A new bucket beyond sweepBuckets forgets up to sweepSteps unused ones, for each of
// which sweepReach are looked at.
const (
	sweepSteps = 2
	sweepReach = 8
)

func (q *Queue) dropBucketLocked(i uint32) {
	b := q.bk.At(i)
	d := q.dests[b.Dest]
	q.flows.unuse(b.Flow)
	q.bk.Leave(&d.buckets, i)
	q.bk.Free(i)
	if d.buckets == 0 {
		q.dropDestLocked(d)
	}
}

// destOfLocked returns the destination of slot s.
func (q *Queue) destOfLocked(s *table.Slot) *dest { return q.dests[q.bk.At(s.Bucket).Dest] }

// joinLocked counts a waiting recipient into bucket i.
func (q *Queue) joinLocked(i uint32) {
	b := q.bk.At(i)
	if b.Waiting == 0 {
		q.bucketsUsed++
	}
	b.Waiting++
	d := q.dests[b.Dest]
	d.waiting++
	d.lane.waiting++
}

// leaveLocked counts a recipient out that has ended, or goes elsewhere.
func (q *Queue) leaveLocked(i uint32) {
	b := q.bk.At(i)
	b.Waiting--
	if b.Waiting == 0 {
		q.bucketsUsed--
	}
	d := q.dests[b.Dest]
	d.waiting--
	d.lane.waiting--
}

// retryLocked moves slot s, which is in no list, to the band of retries.
func (q *Queue) retryLocked(s *table.Slot) {
	b := q.bk.At(s.Bucket)
	if b.Band == BandRetry {
		return
	}
	to := q.bucketLocked(b.Dest, b.Flow, BandRetry)
	q.joinLocked(to)
	q.leaveLocked(s.Bucket)
	s.Bucket = to
}

// Rebind asks Options.Bind anew for every destination, after a change of routes,
// and moves what waits there. It costs O(buckets), however many messages wait.
func (q *Queue) Rebind() {
	q.rebinding.Lock()
	defer q.rebinding.Unlock()
	q.mu.Lock()
	q.bindEpoch++ // whoever asks Bind now for a new destination asks again
	domains := make([]string, 0, len(q.destOf))
	for name := range q.destOf {
		domains = append(domains, name)
	}
	q.mu.Unlock()
	for _, name := range domains {
		q.rebind(name)
	}
}

// RebindDomain is Rebind for the destinations of one domain, in lower case.
func (q *Queue) RebindDomain(domain string) {
	q.rebinding.Lock()
	defer q.rebinding.Unlock()
	q.mu.Lock()
	q.bindEpoch++
	q.mu.Unlock()
	q.rebind(domain)
}

// rebind binds the destinations of a domain. Queue.rebinding is held.
func (q *Queue) rebind(domain string) {
	q.mu.Lock()
	var vias []string
	for n := q.destOf[domain]; n != 0; n = q.dests[n].same {
		vias = append(vias, q.dests[n].via)
	}
	q.mu.Unlock()
	var told notices
	for _, via := range vias {
		key := q.bind([]byte(domain), []byte(via))
		q.mu.Lock()
		if n := q.destLocked([]byte(domain), []byte(via)); n != 0 {
			q.moveDestLocked(q.dests[n], q.laneLocked(key), &told)
		}
		q.mu.Unlock()
		q.tell(&told)
	}
}

func (q *Queue) moveDestLocked(d *dest, to *Lane, told *notices) {
	from := d.lane
	if from == to {
		return
	}
	from.waiting -= d.waiting
	to.waiting += d.waiting
	d.lane = to
	moved := 0
	for i := d.buckets; i != 0; i = q.bk.NextOfDest(i) {
		b := q.bk.At(i)
		n := b.Ready.Len()
		if n == 0 {
			continue
		}
		from.removeLocked(i)
		to.addLocked(i, b)
		from.ready -= n
		to.ready += n
		moved += n
	}
	if moved == 0 {
		return
	}
	to.older.oldest, to.late.oldest = 0, 0 // those of from may be older than it says: look at all
	for range moved {
		if !to.wakeLocked() {
			told.add(to)
			break
		}
	}
}

// Waits reports whether recipients of a domain, which is in lower case, wait in
// whatever state.
func (q *Queue) Waits(domain string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := q.destOf[domain]; n != 0; n = q.dests[n].same {
		if q.dests[n].waiting > 0 {
			return true
		}
	}
	return false
}

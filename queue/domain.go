package queue

import (
	"postrider/internal/mail"
	"postrider/queue/internal/rows"
	"postrider/queue/internal/table"
)

// domain is a recipient domain that the queue has seen: the bucket in which its
// ready recipients wait. Which lane it belongs to is decided by Options.Bind and
// kept in memory only, so a change of routes moves domains, not recipients.
// Queue.mu guards it.
type domain struct {
	name    string
	number  uint32
	lane    *Lane
	ready   table.List
	waiting int // recipients in any state
	uses    int // drafts that are about to wait here
	prev    *domain
	next    *domain // ring of the lane's domains with ready recipients
}

// sweepDomains is how many unused domains are kept bound before they are
// forgotten; Bind is asked again when one returns.
const sweepDomains = 1 << 16

// useDomain returns the number of a recipient's domain, bound to a lane, and
// keeps it until unuse. It may call Bind, so no lock may be held.
func (q *Queue) useDomain(address []byte, scratch []byte) (uint32, []byte) {
	scratch = rows.AppendLower(scratch[:0], mail.DomainOf(address))
	return q.useDomainName(scratch), scratch
}

func (q *Queue) useDomainName(name []byte) uint32 {
	for {
		q.mu.Lock()
		if n, ok := q.domainOf[string(name)]; ok {
			q.domains[n].uses++
			q.mu.Unlock()
			return n
		}
		epoch := q.bindEpoch
		q.mu.Unlock()
		key := q.bind(name)
		q.mu.Lock()
		if _, ok := q.domainOf[string(name)]; !ok && epoch == q.bindEpoch {
			q.addDomainLocked(string(name), q.laneLocked(key))
		}
		q.mu.Unlock()
	}
}

func (q *Queue) bind(name []byte) string {
	if q.o.Bind == nil {
		return ""
	}
	return q.o.Bind(name)
}

func (q *Queue) addDomainLocked(name string, l *Lane) {
	if len(q.domainOf) > sweepDomains+2*q.domainsUsed {
		q.sweepDomainsLocked()
	}
	d := &domain{name: name, lane: l}
	if n := len(q.domainFree); n > 0 {
		d.number = q.domainFree[n-1]
		q.domainFree = q.domainFree[:n-1]
		q.domains[d.number] = d
	} else {
		d.number = uint32(len(q.domains))
		q.domains = append(q.domains, d)
	}
	q.domainOf[name] = d.number
}

func (q *Queue) sweepDomainsLocked() {
	for name, n := range q.domainOf {
		if d := q.domains[n]; d.waiting == 0 && d.uses == 0 {
			delete(q.domainOf, name)
			q.domains[n] = nil
			q.domainFree = append(q.domainFree, n)
		}
	}
}

// joinLocked counts a waiting recipient in.
func (q *Queue) joinLocked(n uint32) {
	d := q.domains[n]
	if d.waiting == 0 {
		q.domainsUsed++
	}
	d.waiting++
	d.lane.waiting++
}

// leaveLocked counts a recipient out that has ended.
func (q *Queue) leaveLocked(n uint32) {
	d := q.domains[n]
	d.waiting--
	d.lane.waiting--
	if d.waiting == 0 {
		q.domainsUsed--
	}
}

// Rebind asks Options.Bind anew for every domain, after a change of routes, and
// moves what waits there. It costs O(domains), however many messages wait.
func (q *Queue) Rebind() {
	q.mu.Lock()
	q.bindEpoch++
	epoch := q.bindEpoch
	names := make([]string, 0, len(q.domainOf))
	for name := range q.domainOf {
		names = append(names, name)
	}
	q.mu.Unlock()
	var told notices
	var scratch []byte
	for _, name := range names {
		scratch = append(scratch[:0], name...)
		key := q.bind(scratch)
		q.mu.Lock()
		if epoch != q.bindEpoch {
			q.mu.Unlock()
			break // a later Rebind does it all
		}
		if n, ok := q.domainOf[name]; ok {
			q.moveDomainLocked(q.domains[n], q.laneLocked(key), &told)
		}
		q.mu.Unlock()
		q.tell(&told)
	}
}

func (q *Queue) moveDomainLocked(d *domain, to *Lane, told *notices) {
	from := d.lane
	if from == to {
		return
	}
	from.waiting -= d.waiting
	to.waiting += d.waiting
	n := d.ready.Len()
	if n > 0 {
		from.unringLocked(d)
		from.ready -= n
	}
	d.lane = to
	if n > 0 {
		to.oldest = 0 // what from.aged holds is older than from.oldest says: look at all
		to.ringLocked(d)
		to.ready += n
		for range n {
			if !to.wakeLocked() {
				told.add(to)
				break
			}
		}
	}
}

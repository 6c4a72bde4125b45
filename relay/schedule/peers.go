package schedule

import (
	"net/netip"
	"time"

	"postrider/internal/mail"
)

// peer is what a lane knows of one address of its site.
type peer struct {
	addr   netip.Addr
	took   float32 // seconds that a transaction takes there, smoothed
	open   int     // connections
	fails  uint8   // connections in a row that did not come up, and ejections
	sick   uint8   // transactions in a row that it has dropped
	out    instant // ejected until then
	streak uint32  // the lane's row of failures to which it has added, plus 1
}

const (
	sickPeer = 2  // dropped transactions in a row after which an address is passed over
	maxPeers = 64 // addresses of a site that are remembered

	ejectFirst = 30 * time.Second
	ejectMost  = 30 * time.Minute

	// busyMemory is for how long after a 421 no worse preference is tried: the site
	// asks for less, not for another door.
	busyMemory = instant(5 * time.Minute)
)

// peerLocked returns what is known of an address, nil when it is zero.
func (l *Lane) peerLocked(addr netip.Addr) *peer {
	if !addr.IsValid() {
		return nil
	}
	for i := range l.peers {
		if l.peers[i].addr == addr {
			return &l.peers[i]
		}
	}
	if len(l.peers) < maxPeers {
		l.peers = append(l.peers, peer{addr: addr})
		return &l.peers[len(l.peers)-1]
	}
	for i := range l.peers { // one that no connection uses makes room
		if l.peers[i].open == 0 {
			l.peers[i] = peer{addr: addr}
			return &l.peers[i]
		}
	}
	l.peers[0] = peer{addr: addr}
	return &l.peers[0]
}

// tookLocked smooths in how long something took.
func (p *peer) tookLocked(d time.Duration) {
	sec := float32(d.Seconds())
	if p.took == 0 {
		p.took = sec
		return
	}
	p.took += (sec - p.took) / 8
}

// ejectLocked passes over an address for a while that did not let a connection come
// up, unless half of the site's are passed over already.
func (l *Lane) ejectLocked(p *peer, at instant) {
	p.fails = min(p.fails+1, 10)
	out := 0
	for i := range l.peers {
		if q := &l.peers[i]; q != p && at < q.out {
			out++
		}
	}
	if out+1 > l.addresses/2 {
		return
	}
	d := min(ejectFirst<<(p.fails-1), ejectMost)
	p.out = at + instant(float64(d)*(0.75+0.5*l.s.o.Random()))
}

// Pick orders targets, which are sorted by preference, for a new connection, and
// returns at most most of them, 0: all; they are rearranged in place. Among equal
// preferences the better of two random ones comes first, by its open connections and
// the time it takes: so no address draws all of the load, neither the fastest nor,
// because connections last longest there, the slowest. Addresses that did not answer
// lately are left out while there are others. After a 421 no worse preference is
// tried.
func (l *Lane) Pick(now time.Time, targets []mail.Target, most int) []mail.Target {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(now)
	l.addresses = len(targets)
	if len(targets) == 0 {
		return targets
	}
	if l.busy != 0 && at-l.busy < busyMemory {
		targets = targets[:samePreference(targets)]
	}
	n := 0
	for i := range targets {
		if at >= l.outLocked(targets[i].Addr.Addr()) {
			targets[n], targets[i] = targets[i], targets[n]
			n++
		}
	}
	if n > 0 {
		targets = targets[:n]
	}
	l.bestFirstLocked(targets[:samePreference(targets)])
	if most > 0 && most < len(targets) {
		targets = targets[:most]
	}
	return targets
}

// samePreference returns how many targets share the first one's preference.
func samePreference(targets []mail.Target) int {
	n := 1
	for n < len(targets) && targets[n].Preference == targets[0].Preference {
		n++
	}
	return n
}

// outLocked returns until when an address is passed over.
func (l *Lane) outLocked(addr netip.Addr) instant {
	for i := range l.peers {
		if l.peers[i].addr == addr {
			return l.peers[i].out
		}
	}
	return 0
}

// bestFirstLocked moves the better of two random targets to the front; the rest
// keep their order, in which address families take turns.
func (l *Lane) bestFirstLocked(ts []mail.Target) {
	if len(ts) < 2 {
		return
	}
	a := int(l.s.o.Random() * float64(len(ts)))
	b := int(l.s.o.Random() * float64(len(ts)-1))
	if b >= a {
		b++
	}
	if l.loadLocked(ts[b].Addr.Addr()) < l.loadLocked(ts[a].Addr.Addr()) {
		a = b
	}
	best := ts[a]
	copy(ts[1:a+1], ts[:a])
	ts[0] = best
}

// loadLocked is how long one more connection would have to wait at an address, in
// no particular unit. One of which nothing is known is taken to be like the rest.
func (l *Lane) loadLocked(addr netip.Addr) float32 {
	sum, known := float32(0), float32(0)
	var p *peer
	for i := range l.peers {
		if l.peers[i].took > 0 {
			sum += l.peers[i].took
			known++
		}
		if l.peers[i].addr == addr {
			p = &l.peers[i]
		}
	}
	mean := float32(1)
	if known > 0 {
		mean = sum / known
	}
	if p == nil {
		return mean
	}
	took := p.took
	if took == 0 {
		took = mean
	}
	return took * float32(p.open+1)
}

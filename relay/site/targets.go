package site

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"

	"postrider/internal/mail"
)

// Targets appends to dst the addresses of the site's hosts as they are now, in the
// order in which they are to be tried: by preference; within one, hosts are shuffled
// and take turns, IPv6 before IPv4 and then alternating. Of Options.MaxAddresses the
// last place is kept for a worse preference, so that a large set of dead addresses
// does not hide the host that stands in for them. The status is zero with targets,
// and temporary without.
func Targets(ctx context.Context, r Resolver, s *Site, o *Options, dst []mail.Target) ([]mail.Target, mail.Status) {
	ctx, cancel := context.WithTimeout(ctx, o.total())
	defer cancel()
	var seen findings
	var spare mail.Target // has lost its place to a worse preference
	start, limit := len(dst), len(dst)+o.maxAddresses()
	for at := 0; at < len(s.Hosts) && len(dst) < limit; {
		end := s.group(at)
		hosts := seen.resolveAll(ctx, r, s, s.Hosts[at:end], o)
		if seen.own { // as in usable
			break
		}
		places := limit
		if end < len(s.Hosts) && len(dst) == start && limit-start > 1 {
			places--
		}
		all := takeTurns(dst, limit, s.Hosts[at:end], hosts, o.port())
		if dst = all[:min(len(all), places)]; len(all) > places {
			spare = all[places]
		}
		at = end
	}
	if spare.Addr.IsValid() && len(dst) < limit { // the worse ones had none
		dst = append(dst, spare)
	}
	switch {
	case len(dst) > start:
		return dst, mail.Status{}
	case seen.temporary:
		return dst, statusLater
	}
	return dst, statusTargets
}

// takeTurns appends addresses of hosts of the same preference until limit, each once.
func takeTurns(dst []mail.Target, limit int, names []Host, hosts []found, port uint16) []mail.Target {
	var six, four []mail.Target
	order := rand.Perm(len(hosts))
	for _, h := range hosts {
		shuffle(h.v6)
		shuffle(h.v4)
	}
	for turn, more := 0, true; more; turn++ {
		more = false
		for _, i := range order {
			h := &hosts[i]
			t := mail.Target{Host: names[i].Name, Preference: names[i].Preference, Authentic: h.authentic}
			if turn < len(h.v6) {
				t.Addr, more = netip.AddrPortFrom(h.v6[turn], port), true
				six = append(six, t)
			}
			if turn < len(h.v4) {
				t.Addr, more = netip.AddrPortFrom(h.v4[turn], port), true
				four = append(four, t)
			}
		}
	}
	for ; len(dst) < limit && len(six)+len(four) > 0; six, four = four, six { // RFC 8305 section 4
		if len(six) == 0 {
			continue
		}
		if t := six[0]; !slices.ContainsFunc(dst, func(have mail.Target) bool { return have.Addr == t.Addr }) {
			dst = append(dst, t)
		}
		six = six[1:]
	}
	return dst
}

func shuffle(addrs []netip.Addr) {
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
}

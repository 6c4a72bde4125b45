package site

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/dns"
	"postrider/internal/mail"
)

// Compose makes the site of a domain out of its exchangers. Hosts that are this
// system are cut together with all that are not preferred to them (RFC 5321 section
// 5.1); loops reports that nothing is left for that reason. Without hosts, the
// result is no site.
func Compose(mx *dns.MX, policy mail.TLSPolicy, o *Options, now time.Time) (s Site, loops bool) {
	s = Site{TLS: policy, Authentic: mx.Authentic, Expires: now.Add(min(max(mx.TTL, minLife), maxLife))}
	cut, own := ownPreference(mx.Hosts, o)
	for _, h := range mx.Hosts {
		if own && h.Preference >= cut {
			break // they are in order
		}
		if _, err := netip.ParseAddr(h.Host); err == nil || h.Host == "" { // RFC 5321 section 5.1: a name, not an address
			continue
		}
		if len(s.Hosts) < o.maxHosts() {
			s.Hosts = append(s.Hosts, Host{Name: h.Host, Preference: h.Preference})
		}
	}
	if len(s.Hosts) == 0 {
		return s, own
	}
	s.setKey(o)
	return s, false
}

// ownPreference returns the best preference of a host that is this system.
func ownPreference(hosts []dns.Exchanger, o *Options) (uint16, bool) {
	for _, h := range hosts {
		if o.ownName(h.Host) {
			return h.Preference, true
		}
	}
	return 0, false
}

// setKey names the site: after its provider, or after its best host, with a hash of
// all when it has more than one, and with the protection when that is not the
// default.
func (s *Site) setKey(o *Options) {
	best := s.Hosts[0]
	p := o.provider(best.Name)
	allBest, all := p != nil, p != nil
	for _, h := range s.Hosts {
		if same := o.provider(h.Name) == p; !same {
			all = false
			allBest = allBest && h.Preference != best.Preference
		}
	}
	if allBest {
		s.Provider = p.Name
	}
	if all && p.OneSite {
		s.Key, s.OneSite = p.Name, true
	} else {
		s.Key = best.Name + s.rest()
	}
	s.Key += Class(&s.TLS)
}

// rest tells sites with the same best host apart: it says how many further hosts
// there are, and which in what order. The preferences count by their order only: 10
// and 20 are the same as 1 and 2.
func (s *Site) rest() string {
	if len(s.Hosts) == 1 {
		return ""
	}
	var text []byte
	for i, h := range s.Hosts {
		if i > 0 && h.Preference == s.Hosts[i-1].Preference {
			text = append(text, '=') // no host name has that, nor ">"
		} else {
			text = append(text, '>')
		}
		text = append(text, h.Name...)
	}
	return "+" + strconv.Itoa(len(s.Hosts)-1) + "~" + hash(text)
}

// hash returns 80 bits, of which no second text is found by trying: it would bring a
// stranger's hosts into another domain's site.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// Class names the protection, "" for the default. Where a policy comes from is no
// part of it.
func Class(p *mail.TLSPolicy) string {
	if p.Level == mail.TLSMay && len(p.Names) == 0 && len(p.Fingerprints) == 0 {
		return ""
	}
	text := "#" + p.Level.String()
	if len(p.Names) == 0 && len(p.Fingerprints) == 0 {
		return text
	}
	var b []byte
	names := slices.Clone(p.Names)
	slices.Sort(names)
	for _, name := range names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	b = append(b, 0)
	prints := slices.Clone(p.Fingerprints)
	slices.SortFunc(prints, func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })
	for _, print := range prints {
		b = append(b, print[:]...)
	}
	return text + ":" + hash(b)
}

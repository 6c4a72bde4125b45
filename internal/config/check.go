package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// check reports what no single key can know.
func check(d *decoder, c *Config) {
	checkListeners(d, c)
	checkOpenRelay(d, c)
	checkOutbound(d, c)
	checkSockets(d, c)
	checkUsers(d, c)
	checkRest(d, c)
}

func checkListeners(d *decoder, c *Config) {
	seen := map[string]int{}
	for i, l := range c.Listeners {
		at := "listener[" + strconv.Itoa(i) + "]"
		if l.Address == "" {
			if _, table := d.at[at]; !table {
				continue
			}
			if _, given := d.at[at+".address"]; !given {
				d.r.add(d.at[at], "a listener without an address", `write address = "127.0.0.1:2525"`)
			}
			continue
		}
		if first, twice := seen[l.Address]; twice && !strings.HasSuffix(l.Address, ":0") {
			d.r.add(d.at[at+".address"], fmt.Sprintf("%s is already the address of listener %d", l.Address, first+1), "")
		}
		seen[l.Address] = i
	}
}

// An open relay is one that strangers can send through to anywhere. Two
// mistakes make one: networks that hold more than an operator can answer for,
// and a relay domain that stands for all (which parseDomain refuses).
//
// The bound is counted over the union of all networks outside of loopback,
// private, shared and link-local space: the largest blocks ever given to one
// holder are an IPv4 /8 and an IPv6 /16 (the registries give providers /19 and
// longer), so whoever names more public space than that has strangers in it.
// Splitting the space into many entries changes nothing, since they are summed.
const (
	maxPublic4 = uint64(1) << 24 // addresses: one /8
	maxPublic6 = uint64(1) << 48 // /64 networks: one /16
)

func checkOpenRelay(d *decoder, c *Config) {
	var sum4, sum6 uint64
	for i, p := range disjoint(c.Relay.Networks) {
		if !p.IsValid() || private(p) {
			continue
		}
		if p.Addr().Is4() {
			sum4 += uint64(1) << (32 - p.Bits())
		} else {
			sum6 += uint64(1) << max(0, min(63, 64-p.Bits()))
		}
		if sum4 > maxPublic4 || sum6 > maxPublic6 {
			at := d.at["relay.networks["+strconv.Itoa(i)+"]"]
			d.r.add(at, fmt.Sprintf("an open relay: with %s, relay.networks holds more public addresses than anyone answers for", p),
				"name the networks of your own clients: at most one /8 of IPv4 and one /16 of IPv6 in all")
			return
		}
	}
}

// disjoint returns nets with those that another one holds made invalid, at the
// same indexes.
func disjoint(nets []netip.Prefix) []netip.Prefix {
	out := slices.Clone(nets)
	for i, p := range out {
		for j, q := range out {
			if i == j || !p.IsValid() || !q.IsValid() || !q.Contains(p.Addr()) {
				continue
			}
			if q.Bits() < p.Bits() || q.Bits() == p.Bits() && j < i {
				out[i] = netip.Prefix{}
				break
			}
		}
	}
	return out
}

// private reports a network that lies wholly in space that is not routed on the
// public Internet.
func private(p netip.Prefix) bool {
	for _, s := range [...]string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1122, RFC 1918
		"100.64.0.0/10", "169.254.0.0/16", // RFC 6598, RFC 3927
		"::1/128", "fc00::/7", "fe80::/10", // RFC 4291, RFC 4193
	} {
		q := netip.MustParsePrefix(s)
		if q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// checkSockets looks at the paths of sockets once they are resolved: data_dir may
// have made them too long for the kernel.
func checkSockets(d *decoder, c *Config) {
	tell := func(path, what string, keys ...string) {
		if len(path) > maxSocketPath {
			d.r.add(firstOf(d, keys...), fmt.Sprintf("the path of the %s has %d bytes, at most %d can be opened: %s", what, len(path), maxSocketPath, path),
				"write a shorter data_dir, or a shorter path that begins with /")
		}
	}
	tell(c.Admin.Socket, "admin socket", "admin.socket", "data_dir")
	for i, l := range c.Listeners {
		if l.Network == "unix" {
			tell(l.Host, "listener's socket", "listener["+strconv.Itoa(i)+"].address")
		}
	}
	for i, r := range c.Routes {
		if r.Hop.Network == "unix" {
			tell(r.Hop.Address, "next hop's socket", "route["+strconv.Itoa(i)+"].next_hop")
		}
		if r.Fallback.Network == "unix" {
			tell(r.Fallback.Address, "fallback's socket", "route["+strconv.Itoa(i)+"].fallback")
		}
	}
}

func checkRest(d *decoder, c *Config) {
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		key := "tls.certificate"
		if c.TLS.Certificate == "" {
			key = "tls.key"
		}
		d.r.add(d.at[key], "certificate and key go together", "")
	}
	if c.Queue.RetryMin > c.Queue.Lifetime {
		d.r.add(firstOf(d, "queue.retry_min", "queue.lifetime"), "retry_min is longer than lifetime: nothing would be tried twice", "")
	}
	if c.Admin.HTTP != "" && !loopback(c.Admin.HTTP) && (!c.Admin.TLS || c.Admin.TokenFile == "") {
		d.r.add(d.at["admin.http"], "beyond loopback the operator's interface needs tls = true and a token_file", `or write "127.0.0.1:8025"`)
	}
	if c.DataDir == "" {
		d.r.add(d.at["data_dir"], "data_dir is empty", "")
	}
	for i, domain := range c.Relay.Domains {
		if slices.Contains(c.Local.Domains, domain) {
			d.r.add(d.at["relay.domains["+strconv.Itoa(i)+"]"], fmt.Sprintf("%q is in local.domains too", domain), "it is delivered here or relayed, not both")
		}
	}
}

func firstOf(d *decoder, keys ...string) span {
	for _, k := range keys {
		if s, ok := d.at[k]; ok {
			return s
		}
	}
	return span{}
}

// loopback reports an address that only this machine can reach. A name other
// than localhost is not resolved: it counts as beyond.
func loopback(hostPort string) bool {
	host := hostPort[:max(strings.LastIndexByte(hostPort, ':'), 0)]
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}

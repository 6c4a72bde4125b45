package site

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Private reports an address that no mail exchanger of the world can have: this
// machine, private and link-local networks, multicast, and IPv6 addresses that carry
// such an IPv4 address inside (RFC 6890).
func Private(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	if addr.Is4() {
		return private4(binary.BigEndian.Uint32(addr.AsSlice()))
	}
	b := addr.As16()
	switch {
	case !addr.IsValid():
		return true
	case addr.IsLoopback(), addr.IsUnspecified(), addr.IsPrivate(), addr.IsLinkLocalUnicast(), addr.IsMulticast():
		return true
	case b[0] == 0xfe && b[1]&0xc0 == 0xc0: // fec0::/10, site-local (RFC 3879)
		return true
	case allZero(b[:12]): // IPv4-compatible (RFC 4291 section 2.5.5.1)
		return true
	case b[0] == 0x01 && allZero(b[1:8]): // 100::/64, discarded (RFC 6666)
		return true
	case b[0] == 0x20 && b[1] == 0x02: // 6to4 (RFC 3056)
		return private4(binary.BigEndian.Uint32(b[2:6]))
	case b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0: // Teredo (RFC 4380)
		return private4(^binary.BigEndian.Uint32(b[12:]))
	case b[0] == 0 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b: // NAT64 (RFC 6052, RFC 8215)
		return b[5] == 1 || private4(binary.BigEndian.Uint32(b[12:]))
	}
	return false
}

func allZero(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}

// private4 looks at an IPv4 address as a number.
func private4(a uint32) bool {
	in := func(b0, b1, b2, b3 byte, bits int) bool {
		net := uint32(b0)<<24 | uint32(b1)<<16 | uint32(b2)<<8 | uint32(b3)
		return (a^net)>>(32-bits) == 0
	}
	return in(0, 0, 0, 0, 8) || // this network
		in(10, 0, 0, 0, 8) || in(172, 16, 0, 0, 12) || in(192, 168, 0, 0, 16) || // RFC 1918
		in(100, 64, 0, 0, 10) || // shared by carriers (RFC 6598)
		in(127, 0, 0, 0, 8) || in(169, 254, 0, 0, 16) ||
		in(192, 0, 0, 0, 24) || // protocol assignments
		in(198, 18, 0, 0, 15) || // benchmarks (RFC 2544)
		a >= 224<<24 // multicast and reserved
}

func allowed(addr netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(addr)
	})
}

package site

import (
	"net/netip"
	"slices"
	"strings"
)

// OwnOf returns an Options.Own for a system of these names that listens there and has
// these addresses. An address is its own when it listens at it on the port that mail
// is sent to: what listens on another port of the same machine is somebody else.
func OwnOf(names []string, listeners []netip.AddrPort, addrs []netip.Addr, port uint16) func(host string, addr netip.Addr) bool {
	var at []netip.Addr
	any4, any6 := false, false
	for _, l := range listeners {
		switch addr := l.Addr().Unmap(); {
		case l.Port() != port:
		case !addr.IsUnspecified():
			at = append(at, addr)
		case addr.Is4():
			any4 = true
		default: // takes connections of both families
			any4, any6 = true, true
		}
	}
	for _, addr := range addrs {
		if addr = addr.Unmap().WithZone(""); addr.Is4() && any4 || addr.Is6() && any6 {
			at = append(at, addr)
		}
	}
	return func(host string, addr netip.Addr) bool {
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(strings.TrimSuffix(name, "."), host) }) {
			return true
		}
		if !addr.IsValid() {
			return false
		}
		loopback := addr.IsLoopback() && (addr.Is4() && any4 || addr.Is6() && any6)
		return loopback || slices.Contains(at, addr)
	}
}

package target

import (
	"context"
	"fmt"
	"net"
)

// nearby returns an error unless every address of a host is loopback, private or
// of the link: a load that goes anywhere else is an attack.
func nearby(ctx context.Context, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if a = a.Unmap(); !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast() {
			return fmt.Errorf("%s is neither on loopback nor in a private network: if it is yours, say --i-own-this-network", a)
		}
	}
	return nil
}

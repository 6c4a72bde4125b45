package site

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postrider/internal/dns"
)

// Namer tells the names of an address; *dns.Resolver does.
type Namer interface {
	PTR(ctx context.Context, addr netip.Addr) (dns.Names, error)
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
}

// ErrNames reports a source whose names do not fit, which many receivers refuse.
var ErrNames = errors.New("names of the source do not fit")

// CheckPTR says whether a source of outbound connections is what it claims to be: its
// address has a name, that name leads back to it, and so does the name that it gives
// in EHLO. Without an answer of the name service the error is not ErrNames.
func CheckPTR(ctx context.Context, r Namer, addr netip.Addr, hello string) error {
	addr = addr.Unmap()
	names, err := r.PTR(ctx, addr)
	switch {
	case errors.Is(err, dns.ErrTemporary):
		return fmt.Errorf("names of %s: %w", addr, err)
	case err != nil || len(names.Names) == 0:
		return fmt.Errorf("%w: %s has no PTR record", ErrNames, addr)
	}
	back, err := anyLeadsTo(ctx, r, names.Names, addr)
	if err != nil {
		return err
	}
	if !back {
		return fmt.Errorf("%w: no name of %s (%s) has it as an address", ErrNames, addr, strings.Join(names.Names[:min(3, len(names.Names))], ", "))
	}
	helloBack, err := anyLeadsTo(ctx, r, []string{hello}, addr)
	if err == nil && !helloBack {
		err = fmt.Errorf("%w: %s, the name in EHLO, does not have the address %s", ErrNames, hello, addr)
	}
	return err
}

// anyLeadsTo reports whether one of the names has the address.
func anyLeadsTo(ctx context.Context, r Namer, names []string, addr netip.Addr) (bool, error) {
	var later error
	for _, name := range names[:min(10, len(names))] {
		a, err := r.Addresses(ctx, name)
		if err == nil && a.Partial {
			err = dns.ErrTemporary
		}
		if errors.Is(err, dns.ErrTemporary) {
			later = fmt.Errorf("addresses of %s: %w", name, err)
		}
		if slices.Contains(a.V4, addr) || slices.Contains(a.V6, addr) {
			return true, nil
		}
	}
	return false, later
}

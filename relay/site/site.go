// Package site finds out where the mail of a domain goes: to which site, and to
// which addresses of it.
//
// A site is a set of mail exchangers in their order of preference, together with the
// protection that connections to them must have: domains that have both in common
// share connections, limits and what was learned. The protection is part of a site's
// key because the policy of each domain is looked at before domains are rolled up
// into sites: a domain with a policy that cannot be kept, or that is wrong, has a
// site of its own and delays nobody else.
//
// Guarantees:
//
//   - Sites with the same Key have the same hosts in the same order and the same
//     protection, and nobody can make a domain whose site has the key of another's:
//     where the best host does not say it all, 80 bits of a hash do. The exception
//     are providers with OneSite, whose operator says that their hosts are all alike.
//   - Only the name service's own word, given twice, makes a status permanent. All
//     trouble with asking is temporary.
//   - What is permanent is found by Lookup, for the one domain that it is about.
//     Targets speaks for all domains of a site and is never permanent.
//   - Mail is never sent to this system itself, nor to private networks that the
//     operator has not named: whoever owns a domain may point it anywhere.
//
// # Concurrency
//
// There is no state here; everything may be called at once. Sites are shared and only
// read.
package site

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"postrider/internal/dns"
	"postrider/internal/mail"
)

// Resolver is what is asked; *dns.Resolver is one. A context of dns.Fresh must lead
// past its cache.
type Resolver interface {
	MX(ctx context.Context, domain string) (dns.MX, error)
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
}

// Options say what a site may be. The zero value refuses private networks and knows
// neither providers nor own addresses.
type Options struct {
	// Own reports that a host of that name, or with that address, is this system. It
	// is asked for a name with a zero address, too. nil: nothing is.
	Own func(host string, addr netip.Addr) bool
	// AllowPrivate are networks that may be delivered to although they are private.
	AllowPrivate []netip.Prefix
	Port         uint16        // of all targets; 0: 25
	Providers    []Provider    // the first that matches counts
	MaxHosts     int           // of a site, the most preferred; 0: 10
	MaxAddresses int           // of one call of Targets; 0: 5
	Total        time.Duration // for all questions of one call; 0: 30 s
}

// Provider is a company that takes mail for many domains, known by the names of its
// mail exchangers.
type Provider struct {
	Name  string
	Hosts []string // "mx.example.com", or ".example.com" for all names below it
	// OneSite says that each of its hosts takes the mail of all its domains, so that
	// they are one site although the hosts are named after the domains. The hosts of
	// the domain that was looked up last stand for all.
	OneSite    bool
	MixDomains bool // recipients of several domains may share a transaction
	Caps       Caps
}

// Caps are limits that all sites of a provider share; 0: no limit.
type Caps struct {
	Connections              int
	ConnectsPerSecond        float64
	MessagesPerSecond        float64
	MessagesPerConnection    int
	RecipientsPerTransaction int
}

// Host is a mail exchanger of a site.
type Host struct {
	Name       string // or an address literal with its brackets
	Preference uint16
}

// Site is where the mail of a domain goes.
type Site struct {
	Key       string // names it in logs and in what is learned
	Provider  string // "": none
	OneSite   bool   // the provider's rule; hosts of the same key differ
	Hosts     []Host // by preference
	TLS       mail.TLSPolicy
	Authentic bool      // the records that name the hosts were validated; not a part of Key
	Expires   time.Time // look up again
}

// How long a site is taken for true, whatever its records say.
const (
	minLife = time.Minute
	maxLife = time.Hour
)

const (
	defaultMaxHosts     = 10
	defaultMaxAddresses = 5
	defaultPort         = 25
	defaultTotal        = 30 * time.Second
)

func (o *Options) maxHosts() int {
	if o.MaxHosts > 0 {
		return o.MaxHosts
	}
	return defaultMaxHosts
}

func (o *Options) maxAddresses() int {
	if o.MaxAddresses > 0 {
		return o.MaxAddresses
	}
	return defaultMaxAddresses
}

func (o *Options) port() uint16 {
	if o.Port > 0 {
		return o.Port
	}
	return defaultPort
}

func (o *Options) total() time.Duration {
	if o.Total > 0 {
		return o.Total
	}
	return defaultTotal
}

func (o *Options) ownName(host string) bool { return o.Own != nil && o.Own(host, netip.Addr{}) }

func (o *Options) ownAddr(host string, addr netip.Addr) bool {
	return o.Own != nil && o.Own(host, addr)
}

// provider returns the provider that a host belongs to, nil when none does.
func (o *Options) provider(host string) *Provider {
	for i := range o.Providers {
		for _, pattern := range o.Providers[i].Hosts {
			if matches(host, pattern) {
				return &o.Providers[i]
			}
		}
	}
	return nil
}

func matches(host, pattern string) bool {
	if strings.HasPrefix(pattern, ".") {
		return len(host) > len(pattern) && strings.EqualFold(host[len(host)-len(pattern):], pattern)
	}
	return strings.EqualFold(host, pattern)
}

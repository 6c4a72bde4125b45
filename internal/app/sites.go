package app

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"postrider/internal/config"
	"postrider/relay/bounce"
	"postrider/relay/classify"
	"postrider/relay/schedule"
	"postrider/relay/site"
)

// sitesOf translates what the configuration says of mail exchangers.
func sitesOf(cfg *config.Config) (*site.Options, error) {
	providers, err := config.LoadProviders(cfg.Outbound.ProvidersFile)
	if err != nil {
		return nil, err
	}
	o := &site.Options{
		AllowPrivate: cfg.Outbound.AllowPrivateTargets,
		Port:         uint16(cfg.Outbound.Port),
		Own:          ownOf(cfg),
	}
	for _, p := range providers {
		o.Providers = append(o.Providers, site.Provider{
			Name: p.Name, Hosts: p.Hosts, OneSite: p.OneSite, MixDomains: p.MixDomains,
			Caps: site.Caps{
				Connections: p.Connections, ConnectsPerSecond: p.ConnectsPerSecond, MessagesPerSecond: p.MessagesPerSecond,
				MessagesPerConnection: p.MessagesPerConnection, RecipientsPerTransaction: p.RecipientsPerTransaction,
			},
		})
	}
	return o, nil
}

// ownOf tells which mail exchangers are this system: those with its host name or
// one of its addresses, where it takes mail at the port that exchangers are reached
// at. Elsewhere its addresses may be those of another server beside it.
func ownOf(cfg *config.Config) func(host string, addr netip.Addr) bool {
	own := make(map[netip.Addr]bool)
	for _, a := range cfg.Outbound.OwnAddresses {
		own[a.Unmap()] = true
	}
	for _, l := range cfg.Listeners {
		for _, a := range listens(l, cfg.Outbound.Port) {
			own[a] = true
		}
	}
	name := strings.ToLower(cfg.Hostname)
	return func(host string, addr netip.Addr) bool {
		return addr.IsValid() && own[addr.Unmap()] || strings.EqualFold(host, name)
	}
}

// listens returns the addresses at which a listener would get the mail of an
// exchanger.
func listens(l config.Listener, port int) []netip.Addr {
	if l.Network != "tcp" {
		return nil
	}
	host, at, err := net.SplitHostPort(l.Host)
	if err != nil || at != fmt.Sprint(port) {
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil && !a.IsUnspecified() {
		return []netip.Addr{a.Unmap()}
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil // own_addresses can say them
	}
	var list []netip.Addr
	for _, i := range interfaces {
		if p, err := netip.ParsePrefix(i.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}

// capsOf joins the limits of the configuration with those of the providers: what
// a [[limit]] says of a site, a source or a provider counts before the providers'
// file.
func capsOf(cfg *config.Config, sites *site.Options) func(source, site, provider string) schedule.Caps {
	limits := cfg.Caps
	general := cfg.Outbound.MessagesPerConnection
	providers := make(map[string]site.Caps, len(sites.Providers))
	for _, p := range sites.Providers {
		providers[p.Name] = p.Caps
	}
	return func(source, siteKey, provider string) schedule.Caps {
		var c schedule.Caps
		for i := range limits {
			l := &limits[i]
			if l.Site != "" && l.Site != siteKey || l.Provider != "" && l.Provider != provider || l.Source != "" && l.Source != source {
				continue
			}
			c = tighter(c, schedule.Caps{
				Connections: l.Connections, ConnectsPerSecond: l.ConnectsPerSecond, MessagesPerSecond: l.MessagesPerSecond,
				MessagesPerConnection: l.MessagesPerConnection, RecipientsPerTransaction: l.RecipientsPerTransaction,
			})
		}
		if p, ok := providers[provider]; ok {
			c.MessagesPerConnection = cmp.Or(c.MessagesPerConnection, p.MessagesPerConnection)
			c.RecipientsPerTransaction = cmp.Or(c.RecipientsPerTransaction, p.RecipientsPerTransaction)
		}
		c.MessagesPerConnection = cmp.Or(c.MessagesPerConnection, general)
		return c
	}
}

// tighter returns the tighter of each pair of limits; 0 is none.
func tighter(a, b schedule.Caps) schedule.Caps {
	return schedule.Caps{
		Connections:              least(a.Connections, b.Connections),
		ConnectsPerSecond:        least(a.ConnectsPerSecond, b.ConnectsPerSecond),
		MessagesPerSecond:        least(a.MessagesPerSecond, b.MessagesPerSecond),
		MessagesPerConnection:    least(a.MessagesPerConnection, b.MessagesPerConnection),
		RecipientsPerTransaction: least(a.RecipientsPerTransaction, b.RecipientsPerTransaction),
	}
}

func least[T cmp.Ordered](a, b T) T {
	var none T
	if a == none || b != none && b < a {
		return b
	}
	return a
}

// templatesOf loads the operator's words of notices.
func templatesOf(cfg *config.Config) (*bounce.Templates, error) {
	if cfg.Bounce.Templates == "" {
		return bounce.Builtin() // parsed here once, not for each notice
	}
	t, err := bounce.LoadTemplates(os.DirFS(cfg.Bounce.Templates), "")
	if err != nil {
		return nil, fmt.Errorf("[bounce] templates: %w", err)
	}
	return t, nil
}

// repliesOf loads the rules by which replies are judged.
func repliesOf(cfg *config.Config) (*classify.Table, error) {
	return config.LoadReplies(cfg.Outbound.RepliesFile)
}

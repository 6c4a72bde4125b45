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

// limits are the operator's, by what they are for.
type limits struct {
	lane              func(source, site, provider string) schedule.Caps
	providers, source map[string]schedule.Caps
}

// limitsFor sorts the limits of the configuration and those of the providers' file: a
// [[limit]] that names a provider or a source alone is shared by all that belongs to
// it, any other is each lane's own. What a [[limit]] says of a provider counts before
// the file.
func limitsFor(cfg *config.Config, sites *site.Options) limits {
	l := limits{providers: make(map[string]schedule.Caps), source: make(map[string]schedule.Caps)}
	for _, p := range sites.Providers {
		l.providers[p.Name] = schedule.Caps(p.Caps)
	}
	var own []config.Cap
	told := make(map[string]bool)
	for _, c := range cfg.Caps {
		switch {
		case c.Site == "" && c.Source == "" && c.Provider != "":
			if !told[c.Provider] {
				told[c.Provider] = true
				l.providers[c.Provider] = schedule.Caps{}
			}
			l.providers[c.Provider] = tighter(l.providers[c.Provider], capsIn(&c))
		case c.Site == "" && c.Provider == "" && c.Source != "":
			l.source[c.Source] = tighter(l.source[c.Source], capsIn(&c))
		default:
			own = append(own, c)
		}
	}
	l.lane = func(source, siteKey, provider string) schedule.Caps {
		var c schedule.Caps
		for i := range own {
			o := &own[i]
			if o.Site != "" && o.Site != siteKey || o.Provider != "" && o.Provider != provider || o.Source != "" && o.Source != source {
				continue
			}
			c = tighter(c, capsIn(o))
		}
		p := l.providers[provider]
		c.MessagesPerConnection = cmp.Or(c.MessagesPerConnection, p.MessagesPerConnection, cfg.Outbound.MessagesPerConnection)
		c.RecipientsPerTransaction = cmp.Or(c.RecipientsPerTransaction, p.RecipientsPerTransaction)
		return c
	}
	return l
}

func capsIn(c *config.Cap) schedule.Caps {
	return schedule.Caps{
		Connections: c.Connections, ConnectsPerSecond: c.ConnectsPerSecond, MessagesPerSecond: c.MessagesPerSecond,
		MessagesPerConnection: c.MessagesPerConnection, RecipientsPerTransaction: c.RecipientsPerTransaction,
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

package relay

import (
	"context"
	"slices"

	"postrider/internal/mail"
	"postrider/relay/schedule"
	"postrider/relay/site"
)

// Prospect is what would become of mail for an address now.
type Prospect struct {
	Hop      mail.Hop
	Lane     string // key of the lane in which it would wait; "": none
	Site     string
	Provider string
	Source   mail.SourceHost
	TLS      mail.TLSPolicy
	Targets  []mail.Target // addresses that would be tried, in an order of the moment
	Far      []mail.Target // of the exchangers, those that the source cannot reach
	Caps     schedule.Caps
	Status   mail.Status // why there is no site; zero: there is one
}

// Prospect tells what would become of mail from an address, which may be the null
// sender, to a domain. It asks DNS, and changes nothing.
func (e *Engine) Prospect(ctx context.Context, domain, from []byte) Prospect {
	rules := e.rules.Load()
	env := &mail.Envelope{}
	env.Sender = env.Keep(from)
	selector := rules.Routes.AppendSelector(nil, env)
	plan := rules.Routes.Lookup(domain, selector)
	p := Prospect{Hop: plan.Hop, Site: plan.Lane, Lane: plan.Lane, TLS: rules.Routes.TLS(domain, plan)}
	if plan.Hop.Kind == mail.HopMX {
		if e.o.Resolver == nil {
			p.Status = statusNoRouteYet
			return p
		}
		s, st := site.Lookup(ctx, e.o.Resolver, string(domain), p.TLS, e.siteOptions())
		if !st.IsZero() {
			p.Site, p.Lane, p.Status = "", "", st
			return p
		}
		p.Site, p.Provider = s.Key, s.Provider
		p.Targets, p.Status = site.Targets(ctx, e.o.Resolver, &s, e.siteOptions(), nil)
	}
	if plan.Hop.Kind != mail.HopMX && plan.Hop.Kind != mail.HopSMTP && plan.Hop.Kind != mail.HopLMTP {
		return p
	}
	name := e.sourceFor(rules, plan.Pool, nil, domain, p.Site, p.Provider)
	p.Lane = laneKey(p.Site, name)
	if src := rules.Routes.Source(name); src != nil {
		p.Source = src.SourceHost
		near := slices.DeleteFunc(slices.Clone(p.Targets), func(t mail.Target) bool { return !src.Reaches(t.Addr.Addr()) })
		p.Far = slices.DeleteFunc(p.Targets, func(t mail.Target) bool { return src.Reaches(t.Addr.Addr()) })
		p.Targets = near
	}
	p.Caps = e.capsOf(rules, &destination{hop: plan.Hop, plan: plan, source: name, site: p.Site, provider: p.Provider})
	return p
}

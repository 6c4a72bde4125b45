package app

import (
	"postrider/internal/config"
	"postrider/internal/mail"
	"postrider/relay/route"
)

// routesOf translates what the configuration says of where mail goes.
func routesOf(cfg *config.Config) route.Options {
	o := route.Options{Local: cfg.Local.Domains}
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		rule := route.Rule{
			Domain: r.Domain, Sender: r.Sender, User: r.User, Client: r.Client,
			Hop: r.Hop, Pool: r.Pool, Fallback: r.Fallback, FallbackAfter: r.FallbackAfter,
		}
		if r.Username != "" {
			rule.Login = &mail.Login{User: r.Username, Password: string(r.Password)}
		}
		if r.TLS != "" {
			rule.TLS = &mail.TLSPolicy{Level: r.TLSLevel(), Origin: "policy"}
		}
		o.Rules = append(o.Rules, rule)
	}
	for _, s := range cfg.Sources {
		o.Sources = append(o.Sources, route.Source{
			SourceHost: mail.SourceHost{Name: s.Name, Hello: s.Hello, V4: s.Address, V6: s.Address6},
			Pool:       s.Pool, Weight: s.Weight,
		})
	}
	for _, p := range cfg.Policies {
		o.Policies = append(o.Policies, route.Policy{
			Domain: p.Domain,
			TLS:    mail.TLSPolicy{Level: p.Level, Names: p.Names, Fingerprints: p.Fingerprints},
		})
	}
	return o
}

package app

import (
	"context"
	"fmt"
	"strconv"

	"postrider/internal/admin"
	"postrider/internal/mail"
	"postrider/relay"
)

// explain tells what would become of mail for an address now.
func (a *App) explain(ctx context.Context, to, from string) (*admin.Explanation, error) {
	address, err := mail.ParseAddress([]byte(to), true)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", admin.ErrSelector, to, err)
	}
	p := a.engine.Prospect(ctx, address.Domain, []byte(from))
	e := &admin.Explanation{
		To: to, From: from, Domain: string(address.Domain), Hop: p.Hop.String(), Site: p.Site, Provider: p.Provider,
		Source: p.Source.Name, Hello: p.Source.Hello, Limits: boundsOf(&p), TLS: p.TLS.Level.String(),
	}
	if p.TLS.Origin != "" {
		e.TLS += " (" + p.TLS.Origin + ")"
	}
	if !p.Status.IsZero() {
		e.Refused = p.Status.String()
	}
	target := func(t mail.Target, note string) {
		e.Targets = append(e.Targets, admin.TargetStatus{Host: t.Host, Addr: t.Addr.String(), Preference: int(t.Preference), Note: note})
	}
	for _, t := range p.Targets {
		target(t, "")
	}
	for _, t := range p.Far {
		target(t, "left out: the source has no address that reaches it")
	}
	for _, l := range a.engine.Lanes() {
		if l.Key == p.Lane && p.Lane != "" {
			s := siteStatus(l)
			e.Standing = &s
		}
	}
	return e, nil
}

// boundsOf lists the limits that are set for a lane; what is learned is the
// standing's.
func boundsOf(p *relay.Prospect) (list []admin.LimitStatus) {
	whole := func(name string, n int) {
		if n > 0 {
			list = append(list, admin.LimitStatus{Name: name, Value: strconv.Itoa(n)})
		}
	}
	rate := func(name string, v float64) {
		if v > 0 {
			list = append(list, admin.LimitStatus{Name: name, Value: strconv.FormatFloat(v, 'g', -1, 64)})
		}
	}
	whole("connections", p.Caps.Connections)
	rate("connects a second", p.Caps.ConnectsPerSecond)
	rate("messages a second", p.Caps.MessagesPerSecond)
	whole("messages a connection", p.Caps.MessagesPerConnection)
	whole("recipients a transaction", p.Caps.RecipientsPerTransaction)
	return list
}

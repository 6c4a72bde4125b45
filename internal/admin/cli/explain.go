package cli

import (
	"fmt"
	"strconv"
	"time"

	"postrider/internal/admin"
)

// place is where a recipient's mail goes.
func place(r *admin.Recipient) string {
	name := r.Site
	if name == "" {
		name = r.Lane
	}
	if r.Source != "" {
		name += " from " + r.Source
	}
	return Harmless(name)
}

// explain writes where a recipient stands, what it waits for since when, what
// would release it, and when it is next due.
func (p *Printer) explain(r *admin.Recipient) error {
	if _, err := fmt.Fprintf(p.W, "#%d %s\n", r.RID, Harmless(r.To)); err != nil {
		return err
	}
	t := p.table()
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "  %s\t%s\n", name, value) // the table's writer keeps an error for Flush
		}
	}
	row("state", r.State)
	row("site", place(r))
	row("flow", Harmless(r.Flow))
	row("band", r.Band)
	if w := r.Why; w != nil {
		row("waits for", w.Gate+": "+w.Text)
		row("because of", Harmless(w.Reason))
		if w.Since != nil {
			row("since", p.moment(*w.Since))
		}
		row("released by", w.Release)
		if w.Until != nil && r.Due == nil {
			row("looked at", p.moment(*w.Until))
		}
	}
	if r.Due != nil {
		row("next due", p.moment(*r.Due))
	}
	row("attempts", strconv.Itoa(r.Attempts))
	if text := replyText(r.Code, r.Enhanced, r.Reply); text != "" {
		if r.Class != "" {
			text += " (" + r.Class + ")"
		}
		row("last reply", text)
	}
	return t.Flush()
}

// moment is a time and how far from now it is.
func (p *Printer) moment(t time.Time) string {
	at := t.UTC().Format(time.RFC3339)
	if t.After(p.Now) {
		return at + " (in " + Age(t.Sub(p.Now)) + ")"
	}
	return at + " (" + Age(p.Now.Sub(t)) + " ago)"
}

// Explanation writes what would become of mail for an address.
func (p *Printer) Explanation(e *admin.Explanation) error {
	if p.JSON {
		return p.json(e)
	}
	t := p.table()
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value) // the table's writer keeps an error for Flush
		}
	}
	row("to", Harmless(e.To))
	row("route", e.Hop)
	row("site", Harmless(e.Site))
	row("provider", e.Provider)
	row("source", Harmless(e.Source))
	row("refused", Harmless(e.Refused))
	row("hello", e.Hello)
	row("tls", Harmless(e.TLS))
	for i, target := range e.Targets {
		name := ""
		if i == 0 {
			name = "hosts"
		}
		note := ""
		if target.Note != "" {
			note = "  " + Harmless(target.Note)
		}
		fmt.Fprintf(t, "%s\t%d %s [%s]%s\n", name, target.Preference, Harmless(target.Host), target.Addr, note)
	}
	for i, l := range e.Limits {
		name, origin := "", ""
		if i == 0 {
			name = "limits"
		}
		if l.Origin != "" {
			origin = " (" + Harmless(l.Origin) + ")"
		}
		fmt.Fprintf(t, "%s\t%s %s%s\n", name, l.Name, l.Value, origin)
	}
	if err := t.Flush(); err != nil || e.Standing == nil {
		return err
	}
	return p.sites([]admin.SiteStatus{*e.Standing}, 0)
}

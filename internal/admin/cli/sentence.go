package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Event writes one event: its line as it is, or one for people.
func (p *Printer) Event(e *Event, line []byte) error {
	if p.JSON {
		_, err := p.W.Write(append(line, '\n'))
		return err
	}
	_, err := fmt.Fprintf(p.W, "%s %s\n", e.Time.Local().Format("15:04:05.000"), p.sentence(e))
	return err
}

// sentence is what an event says, for tail.
func (p *Printer) sentence(e *Event) string {
	var b strings.Builder
	b.WriteString(p.mark(e))
	if e.ID != "" {
		b.WriteString(" " + e.ID)
		if e.RID > 0 {
			b.WriteString("#" + strconv.Itoa(e.RID))
		}
	}
	b.WriteString(p.facts(e))
	return b.String()
}

func (p *Printer) mark(e *Event) string {
	sign, color := "·", ""
	switch e.Name {
	case "delivered":
		sign, color = "✓", "32"
	case "deferred", "held", "store", "delayed", "suspended", "limited":
		sign, color = "~", "33"
	case "failed", "bounced", "expired", "quarantined", "rejected", "panic", "config_rejected":
		sign, color = "✗", "31"
	}
	s := sign + " " + Harmless(e.Name)
	if p.Color && color != "" {
		return "\x1b[" + color + "m" + s + "\x1b[0m"
	}
	return s
}

func (p *Printer) facts(e *Event) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case e.Name == "accepted":
		add("%s to %d recipients, %s", sender(*orEmpty(e.From)), e.NumRcpt, Bytes(e.Size))
		add("from %s", p.client(e))
		if e.AcceptMS > 0 {
			add("durable in %.1f ms", e.AcceptMS)
		}
	case e.Name == "rejected":
		add("%s", p.client(e))
		add("%s: %s", e.Command, replyText(e.Code, e.Enhanced, e.Reply))
		if e.To != "" {
			add("to %s", Harmless(e.To))
		}
		if e.Rule != "" {
			add("(%s)", e.Rule)
		}
	case e.Name == "dsn":
		p.notice(e, add)
	case e.Name == "suspended" || e.Name == "resumed" || e.Name == "limited":
		p.siteChange(e, add)
	case e.RID > 0:
		if e.To != "" {
			add("%s", Harmless(e.To))
		}
		if e.Site != "" {
			add("← %s", Harmless(e.Site))
		}
		if e.IP != "" {
			add("[%s]", e.IP)
		}
		if text := replyText(e.Code, e.Enhanced, e.Reply); text != "" {
			add("%s", text)
		}
		if e.Class != "" {
			add("(%s)", e.Class)
		}
		if e.Attempt > 1 {
			add("attempt %d", e.Attempt)
		}
		if !e.Next.IsZero() {
			add("next in %s", Age(e.Next.Sub(e.Time)))
		}
		if e.AgeMS > 0 {
			add("after %s", Age(time.Duration(e.AgeMS*float64(time.Millisecond))))
		}
	}
	if e.Notice != "" {
		add("told by %s", e.Notice)
	}
	kind := e.Kind
	if e.Name == "dsn" {
		kind = ""
	}
	for _, s := range []string{e.Version, e.Path, kind, e.Error, e.Actor, e.Reason} {
		if s != "" {
			add("%s", Harmless(s))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, "  ")
}

// notice is what a delivery status notification tells.
func (p *Printer) notice(e *Event, add func(string, ...any)) {
	if e.ID == "" {
		add("withheld (%s):", e.Rule)
	}
	add("%s of %d recipients of %s", e.Kind, e.NumRcpt, e.Of)
	if e.To != "" {
		add("to %s", Harmless(e.To))
	}
}

// siteChange is how a site is treated from now on.
func (p *Printer) siteChange(e *Event, add func(string, ...any)) {
	add("%s", Harmless(e.Site))
	if e.Source != "" {
		add("from %s", Harmless(e.Source))
	}
	if e.Flow != "" {
		add("for mail of %s only", Harmless(e.Flow))
	}
	add("(%s)", e.Gate)
	if text := replyText(e.Code, e.Enhanced, e.Reply); text != "" {
		add("%s", text)
	}
	if !e.Until.IsZero() {
		add("for %s", Age(e.Until.Sub(e.Time)))
	}
	if e.Limit > 0 {
		add("to %g", e.Limit)
	}
	if e.Ready > 0 {
		add("%d recipients wait", e.Ready)
	}
}

func (p *Printer) client(e *Event) string {
	s := e.Client
	if s == "" {
		s = "a local socket"
	}
	if e.Helo != "" {
		s += " (" + Harmless(e.Helo) + ")"
	}
	return s
}

func orEmpty(s *string) *string {
	if s == nil {
		return new(string)
	}
	return s
}

package cli

import (
	"fmt"
	"time"

	"postrider/internal/admin"
)

// mostSamples is how many recipients a Preview shows.
const mostSamples = 3

// Preview is what an action would be done to.
type Preview struct {
	Action   admin.Action `json:"action"`
	Matched  int          `json:"matched"` // recipients
	Messages int          `json:"messages"`
	Senders  int          `json:"senders"`
	Oldest   float64      `json:"oldest_s"`
	Samples  []Sample     `json:"sample"`
	DryRun   bool         `json:"dry_run"`

	senders map[string]bool
}

// Sample is one recipient of a Preview.
type Sample struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Add counts the recipients of a message that the action fits.
func (v *Preview) Add(m *admin.Message, now time.Time) {
	n := 0
	for i := range m.Recipients {
		r := &m.Recipients[i]
		if !v.Action.Fits(r) {
			continue
		}
		n++
		if len(v.Samples) < mostSamples {
			v.Samples = append(v.Samples, Sample{ID: m.ID, From: m.From, To: r.To})
		}
	}
	if n == 0 {
		return
	}
	v.Matched += n
	v.Messages++
	if v.senders == nil {
		v.senders = make(map[string]bool)
	}
	v.senders[m.From] = true
	v.Senders = len(v.senders)
	v.Oldest = max(v.Oldest, now.Sub(m.Arrived).Seconds())
}

// Preview writes what an action would be done to, as a sentence and samples.
func (p *Printer) Preview(v *Preview) error {
	if p.JSON {
		return p.json(v)
	}
	would := ""
	if v.DryRun {
		would = "would "
	}
	_, err := fmt.Fprintf(p.W, "%s%s %s in %s, %s, oldest %s\n", would, v.Action, count(v.Matched, "recipient"), count(v.Messages, "message"),
		count(v.Senders, "sender"), Age(time.Duration(v.Oldest*float64(time.Second))))
	for _, s := range v.Samples {
		if err == nil {
			_, err = fmt.Fprintf(p.W, "  %s  %s → %s\n", s.ID, sender(s.From), Harmless(s.To))
		}
	}
	if more := v.Matched - len(v.Samples); more > 0 && err == nil {
		_, err = fmt.Fprintf(p.W, "  and %d more\n", more)
	}
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Acted writes what an action did.
func (p *Printer) Acted(a admin.Action, r admin.ActionResult) error {
	if p.JSON {
		return p.json(struct {
			Action admin.Action `json:"action"`
			admin.ActionResult
		}{a, r})
	}
	skipped := ""
	if r.Skipped > 0 {
		skipped = fmt.Sprintf(", %d skipped: they were sent or changed meanwhile", r.Skipped)
	}
	_, err := fmt.Fprintf(p.W, "%s %s%s\n", count(r.Done, "recipient"), done(a), skipped)
	return err
}

// done is the verb of an action that is over.
func done(a admin.Action) string {
	switch a {
	case admin.ActionRetry:
		return "to be tried now"
	case admin.ActionHold:
		return "held"
	case admin.ActionRelease:
		return "released"
	case admin.ActionBounce:
		return "bounced: their senders are being told"
	case admin.ActionDrop:
		return "dropped"
	}
	return string(a)
}

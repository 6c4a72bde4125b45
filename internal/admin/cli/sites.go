package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"postrider/internal/admin"
)

// sites writes a table of the first most of them, those first that wait with the
// most; most 0 is all of them.
func (p *Printer) sites(list []admin.SiteStatus, most int) error {
	if len(list) == 0 {
		return nil
	}
	list = inOrder(list)
	t := p.table()
	fmt.Fprintln(t, "SITE\tSTATE\tREADY\tDEFERRED\tHELD\tCONNS/LIM\tRATE/s\tOLDEST\tWAITS FOR") // errors: at Flush
	for i := range list {
		if most > 0 && i == most {
			var ready, deferred, held int
			for _, s := range list[i:] {
				ready, deferred, held = ready+s.Ready+s.InFlight, deferred+s.Deferred, held+s.Held+s.Failed
			}
			fmt.Fprintf(t, "(%d more)\t\t%d\t%d\t%d\n", len(list)-i, ready, deferred, held)
			break
		}
		s := &list[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d/%s\t%.1f\t%s\t%s\n", siteName(s), s.State, s.Ready+s.InFlight, s.Deferred,
			s.Held+s.Failed, s.Connections, limit(s.Limit), s.RatePerSec, p.since(s.Oldest), p.siteReason(s))
	}
	return t.Flush()
}

// inOrder sorts a copy: by what waits, then by name.
func inOrder(list []admin.SiteStatus) []admin.SiteStatus {
	list = slices.Clone(list)
	waiting := func(s *admin.SiteStatus) int { return s.Ready + s.InFlight + s.Deferred + s.Held + s.Failed }
	slices.SortStableFunc(list, func(a, b admin.SiteStatus) int {
		return cmp.Or(cmp.Compare(waiting(&b), waiting(&a)), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Source, b.Source))
	})
	return list
}

// siteName is the site with its source and a domain of it.
func siteName(s *admin.SiteStatus) string {
	name := Harmless(s.Site)
	switch {
	case s.Domains > 1:
		name += fmt.Sprintf(" (%s +%d)", Harmless(s.Domain), s.Domains-1)
	case s.Domain != "" && s.Domain != s.Site:
		name += " (" + Harmless(s.Domain) + ")"
	}
	if s.Source != "" {
		name += " from " + Harmless(s.Source)
	}
	return name
}

func limit(n float64) string {
	if n <= 0 {
		return "-"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// since is the age of a moment; "-" when it is not known.
func (p *Printer) since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Age(p.Now.Sub(t))
}

// siteReason is what a site's mail waits for, until when, and the last reply.
func (p *Printer) siteReason(s *admin.SiteStatus) string {
	text := ""
	if w := s.Why; w != nil && s.State != admin.StateOK {
		text = w.Gate
		if w.Until != nil {
			text += ", " + p.until(*w.Until)
		}
	}
	if s.LastReply == "" {
		return text
	}
	if text != "" {
		text += ": "
	}
	return text + Harmless(s.LastReply)
}

// until is a moment to come; one that has passed is now.
func (p *Printer) until(t time.Time) string {
	if !t.After(p.Now) {
		return "now"
	}
	return "for " + Age(t.Sub(p.Now))
}

// Sites writes how every site stands: a JSON line each, or a table with totals.
func (p *Printer) Sites(s *admin.Status) error {
	if p.JSON {
		for _, site := range inOrder(s.Sites) {
			if err := p.json(site); err != nil {
				return err
			}
		}
		return nil
	}
	if err := p.sites(s.Sites, 0); err != nil {
		return err
	}
	for i, c := range s.Queue {
		sep := " · "
		if i == 0 {
			sep = "total "
		}
		if _, err := fmt.Fprintf(p.W, "%s%d %s", sep, c.Recipients, c.State); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.W, " · %s of texts\n", Bytes(s.QueueBytes))
	return err
}

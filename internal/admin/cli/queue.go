package cli

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"postrider/internal/admin"
)

// Message writes one message of a listing: a JSON line, or a line for it and one
// for each recipient.
func (p *Printer) Message(m *admin.Message) error {
	if p.JSON {
		return p.json(m)
	}
	if _, err := fmt.Fprintf(p.W, "%s  %6s  %8s  %s\n", m.ID, Age(p.Now.Sub(m.Arrived)), Bytes(m.Size), sender(m.From)); err != nil {
		return err
	}
	for i := range m.Recipients {
		if err := p.recipient(&m.Recipients[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *Printer) recipient(r *admin.Recipient) error {
	waits := ""
	switch {
	case r.Due != nil && r.State == "deferred":
		waits = "  next in " + Age(r.Due.Sub(p.Now))
	case r.Why != nil:
		waits = "  waits for " + r.Why.Gate
	}
	if _, err := fmt.Fprintf(p.W, "  #%d %-11s %s  %s  attempts %d%s\n", r.RID, r.State, Harmless(r.To), place(r), r.Attempts, waits); err != nil {
		return err
	}
	if text := replyText(r.Code, r.Enhanced, r.Reply); text != "" {
		_, err := fmt.Fprintf(p.W, "     %s\n", text)
		return err
	}
	return nil
}

// Show writes everything about one message.
func (p *Printer) Show(m *admin.Message) error {
	if p.JSON {
		return p.json(m)
	}
	t := p.table()
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value) // the table's writer keeps an error for Flush
		}
	}
	row("id", m.ID)
	row("from", sender(m.From))
	row("arrived", m.Arrived.UTC().Format(time.RFC3339Nano)+" ("+Age(p.Now.Sub(m.Arrived))+" ago)")
	row("size", Bytes(m.Size))
	row("client", m.Client)
	row("helo", Harmless(m.Helo))
	row("user", Harmless(m.User))
	row("listener", m.Listener)
	row("protocol", m.Protocol)
	row("tls", m.TLS)
	row("session", m.Session)
	row("recipients", fmt.Sprintf("%d, of which %d wait", m.NumRcpt, len(m.Recipients)))
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range m.Recipients {
		if err := p.explain(&m.Recipients[i]); err != nil {
			return err
		}
	}
	return nil
}

// Summary gathers a listing by site. The zero Summary is empty.
type Summary struct {
	sites map[string]*SiteSummary
}

// SiteSummary is what waits for one site. Numbers are recipients.
type SiteSummary struct {
	Site      string         `json:"site"`
	States    map[string]int `json:"states"`
	Total     int            `json:"total"`
	Bytes     int64          `json:"bytes"` // a message counts once at each site that it waits for
	OldestSec float64        `json:"oldest_s"`
	LastReply string         `json:"last_reply,omitempty"`

	lastMessage string // the message counted last, to count its bytes once
	replyDue    time.Time
}

// Add counts a message.
func (s *Summary) Add(m *admin.Message, now time.Time) {
	if s.sites == nil {
		s.sites = make(map[string]*SiteSummary)
	}
	for i := range m.Recipients {
		r := &m.Recipients[i]
		site := r.Site
		if site == "" {
			site = r.Lane
		}
		l := s.sites[site]
		if l == nil {
			l = &SiteSummary{Site: site, States: make(map[string]int)}
			s.sites[site] = l
		}
		l.States[r.State]++
		l.Total++
		l.OldestSec = max(l.OldestSec, now.Sub(m.Arrived).Seconds())
		if l.lastMessage != m.ID {
			l.lastMessage = m.ID
			l.Bytes += m.Size
		}
		// The reply that came last belongs to the recipient that is due last.
		if text := replyText(r.Code, r.Enhanced, r.Reply); text != "" && (l.LastReply == "" || r.Due != nil && r.Due.After(l.replyDue)) {
			l.LastReply = text
			if r.Due != nil {
				l.replyDue = *r.Due
			}
		}
	}
}

// Sites returns the sites, the fullest first.
func (s *Summary) Sites() []*SiteSummary {
	sites := make([]*SiteSummary, 0, len(s.sites))
	for _, l := range s.sites {
		sites = append(sites, l)
	}
	slices.SortFunc(sites, func(a, b *SiteSummary) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Site, b.Site))
	})
	return sites
}

// Summary writes s: a JSON line for each site, or a table.
func (p *Printer) Summary(s *Summary) error {
	sites := s.Sites()
	if p.JSON {
		for _, l := range sites {
			if err := p.json(l); err != nil {
				return err
			}
		}
		return nil
	}
	t := p.table()
	fmt.Fprintln(t, "SITE\tREADY\tDEFERRED\tHELD\tFAILED\tTOTAL\tBYTES\tOLDEST\tLAST REPLY") // errors: at Flush
	var total int
	var bytes int64
	for _, l := range sites {
		total += l.Total
		bytes += l.Bytes
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", Harmless(l.Site),
			l.States["ready"]+l.States["inflight"], l.States["deferred"], l.States["held"]+l.States["quarantined"],
			l.States["failed"], l.Total, Bytes(l.Bytes), Age(time.Duration(l.OldestSec*float64(time.Second))), l.LastReply)
	}
	fmt.Fprintf(t, "total\t\t\t\t\t%d\t%s\n", total, Bytes(bytes))
	return t.Flush()
}

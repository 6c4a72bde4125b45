package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Event is what the commands read of a line of the event log.
type Event struct {
	Time     time.Time `json:"ts"`
	Name     string    `json:"ev"`
	Seq      uint64    `json:"seq"`
	ID       string    `json:"id"`
	RID      int       `json:"rid"`
	Session  string    `json:"sess"`
	From     *string   `json:"from"`
	To       string    `json:"to"`
	NumRcpt  int       `json:"nrcpt"`
	Size     int64     `json:"size"`
	Client   string    `json:"client"`
	Helo     string    `json:"helo"`
	User     string    `json:"user"`
	TLS      string    `json:"tls"`
	Site     string    `json:"site"`
	MX       string    `json:"mx"`
	IP       string    `json:"ip"`
	Code     int       `json:"code"`
	Enhanced string    `json:"enh"`
	Reply    string    `json:"reply"`
	Command  string    `json:"cmd"`
	Rule     string    `json:"rule"`
	Attempt  int       `json:"attempt"`
	Next     time.Time `json:"next"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason"`
	Version  string    `json:"version"`
	Path     string    `json:"path"`
	Kind     string    `json:"kind"`
	Error    string    `json:"error"`
	AcceptMS float64   `json:"t_accept_ms"`
	AgeMS    float64   `json:"age_ms"`
}

// ParseEvent reads a line of the event log.
func ParseEvent(line []byte) (*Event, error) {
	e := &Event{}
	if err := json.Unmarshal(line, e); err != nil {
		return nil, fmt.Errorf("event log: %w", err)
	}
	return e, nil
}

// Terminal reports the end of a recipient.
func (e *Event) Terminal() bool {
	switch e.Name {
	case "delivered", "bounced", "expired", "dropped", "xfer_out":
		return true
	}
	return false
}

// EventFilter says which events are meant; everything set must match. Addresses
// and domains are compared without case.
type EventFilter struct {
	Event      string
	ID         string
	Session    string
	From       string
	FromDomain string
	To         string
	ToDomain   string
	Client     string
	Site       string
	Code       int
	Enhanced   string // may end in "*"
	Since      time.Time
	Until      time.Time
	Text       string // anywhere in the line
}

// Match reports whether e, which was read from line, is meant.
func (f *EventFilter) Match(e *Event, line []byte) bool {
	from := ""
	if e.From != nil {
		from = *e.From
	}
	switch {
	case f.Event != "" && f.Event != e.Name,
		f.ID != "" && !strings.EqualFold(f.ID, e.ID),
		f.Session != "" && f.Session != e.Session,
		f.From != "" && !strings.EqualFold(f.From, from),
		f.FromDomain != "" && !strings.EqualFold(f.FromDomain, domainOf(from)),
		f.To != "" && !strings.EqualFold(f.To, e.To),
		f.ToDomain != "" && !strings.EqualFold(f.ToDomain, domainOf(e.To)),
		f.Client != "" && f.Client != e.Client,
		f.Site != "" && f.Site != e.Site,
		f.Code != 0 && f.Code != e.Code,
		f.Enhanced != "" && !wildcard(f.Enhanced, e.Enhanced),
		!f.Since.IsZero() && e.Time.Before(f.Since),
		!f.Until.IsZero() && e.Time.After(f.Until),
		f.Text != "" && !strings.Contains(string(line), f.Text):
		return false
	}
	return true
}

func wildcard(pattern, s string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, p)
	}
	return pattern == s
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

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
	case "deferred", "held", "store":
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
	for _, s := range []string{e.Version, e.Path, e.Kind, e.Error, e.Actor, e.Reason} {
		if s != "" {
			add("%s", Harmless(s))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, "  ")
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

// Life gathers the events of one message. The zero Life is empty.
type Life struct {
	events []*Event
	lines  [][]byte
}

// Add takes an event of the message; line is copied.
func (l *Life) Add(e *Event, line []byte) {
	l.events = append(l.events, e)
	l.lines = append(l.lines, append([]byte(nil), line...))
}

// Empty reports that nothing was found.
func (l *Life) Empty() bool { return len(l.events) == 0 }

// Life writes the life of a message from its acceptance to its end: the lines of
// the log, or a line an event with the time since the first, and a summary. An
// event that stands in the log twice, as it can after a crash, is counted once.
func (p *Printer) Life(l *Life) error {
	if p.JSON {
		for _, line := range l.lines {
			if _, err := p.W.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	}
	if l.Empty() {
		return nil
	}
	first := l.events[0]
	if _, err := fmt.Fprintf(p.W, "%s  %s  %s\n", first.ID, sender(*orEmpty(first.From)), first.Time.UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	recipients, last := first.NumRcpt, first.Time
	ends, seen := map[string]int{}, map[int]bool{}
	for _, e := range l.events {
		rid := "   "
		if e.RID > 0 {
			rid = fmt.Sprintf("#%-2d", e.RID)
		}
		if _, err := fmt.Fprintf(p.W, "%+11.3fs %s %s%s\n", e.Time.Sub(first.Time).Seconds(), rid, p.mark(e), p.facts(e)); err != nil {
			return err
		}
		if e.Time.After(last) {
			last = e.Time
		}
		if e.Terminal() && !seen[e.RID] {
			seen[e.RID] = true
			ends[e.Name]++
		}
	}
	if len(seen) < recipients {
		_, err := fmt.Fprintf(p.W, "open: %d of %d recipients have ended\n", len(seen), recipients)
		return err
	}
	_, err := fmt.Fprintf(p.W, "closed: %d delivered, %d bounced, %d expired, %d dropped, after %s\n",
		ends["delivered"], ends["bounced"], ends["expired"], ends["dropped"], Age(last.Sub(first.Time)))
	return err
}

package cli

import (
	"encoding/json"
	"fmt"
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
	Of       string    `json:"of"`  // the message that a notice is about
	Notice   string    `json:"dsn"` // the notice that an end is told by
	Source   string    `json:"source"`
	Flow     string    `json:"flow"`
	Class    string    `json:"class"`
	Gate     string    `json:"gate"`
	Until    time.Time `json:"until"`
	Limit    float64   `json:"limit"`
	Ready    int       `json:"ready"`
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

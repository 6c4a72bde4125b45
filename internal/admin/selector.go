package admin

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/mail"
)

// Selector says which recipients are meant. Everything that is set must match;
// the zero Selector matches all.
type Selector struct {
	IDs         []mail.ID
	After       mail.ID // only ids above it: the place to go on from
	From        string
	FromDomain  string
	To          string
	ToDomain    string
	Lane        string
	State       string
	Code        int    // of the last reply
	Enhanced    string // of the last reply, such as "4.7.1" or "4.7.*"
	OlderThan   time.Duration
	NewerThan   time.Duration
	MinAttempts int
	MinSize     int64
	Limit       int // messages; 0: all
}

// States are the words that Selector.State may be.
func States() []string {
	return []string{"ready", "inflight", "deferred", "held", "failed", "quarantined"}
}

// All reports a selector that restricts nothing but how much is returned.
func (s *Selector) All() bool {
	t := *s
	t.After, t.Limit = mail.ID{}, 0
	return len(t.IDs) == 0 && t.From == "" && t.FromDomain == "" && t.To == "" && t.ToDomain == "" &&
		t.Lane == "" && t.State == "" && t.Code == 0 && t.Enhanced == "" && t.OlderThan == 0 &&
		t.NewerThan == 0 && t.MinAttempts == 0 && t.MinSize == 0
}

// maxIDs bounds the ids of one selector: what fits a request's line.
const maxIDs = 500

// Values writes s as query parameters.
func (s *Selector) Values() url.Values {
	v := url.Values{}
	for _, id := range s.IDs {
		v.Add("id", id.String())
	}
	if !s.After.IsZero() {
		v.Set("after", s.After.String())
	}
	text := func(key, value string) {
		if value != "" {
			v.Set(key, value)
		}
	}
	text("from", s.From)
	text("from_domain", s.FromDomain)
	text("to", s.To)
	text("to_domain", s.ToDomain)
	text("lane", s.Lane)
	text("state", s.State)
	text("enhanced", s.Enhanced)
	number := func(key string, value int64) {
		if value != 0 {
			v.Set(key, strconv.FormatInt(value, 10))
		}
	}
	number("code", int64(s.Code))
	number("attempts", int64(s.MinAttempts))
	number("size", s.MinSize)
	number("limit", int64(s.Limit))
	span := func(key string, value time.Duration) {
		if value != 0 {
			v.Set(key, value.String())
		}
	}
	span("older", s.OlderThan)
	span("newer", s.NewerThan)
	return v
}

// ParseSelector reads what Values writes. An unknown parameter is an error, so
// that a misspelt one does not select everything; extra names those that are the
// caller's.
func ParseSelector(v url.Values, extra ...string) (Selector, error) {
	var s Selector
	p := selectorParser{}
	for key, values := range v {
		if slices.Contains(extra, key) {
			continue
		}
		if len(values) != 1 && key != "id" {
			p.fail(key, strings.Join(values, ", "), "given more than once")
			continue
		}
		p.set(&s, key, values)
	}
	return s, p.err
}

type selectorParser struct{ err error }

func (p *selectorParser) fail(key, value, why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s=%q: %s", ErrSelector, key, value, why)
	}
}

func (p *selectorParser) set(s *Selector, key string, values []string) {
	value := values[0]
	switch key {
	case "id":
		if len(values) > maxIDs {
			p.fail(key, value, fmt.Sprintf("more than %d ids", maxIDs))
			return
		}
		for _, text := range values {
			s.IDs = append(s.IDs, p.id(key, text))
		}
	case "after":
		s.After = p.id(key, value)
	case "from":
		s.From = strings.ToLower(value)
	case "from_domain":
		s.FromDomain = strings.ToLower(value)
	case "to":
		s.To = strings.ToLower(value)
	case "to_domain":
		s.ToDomain = strings.ToLower(value)
	case "lane":
		s.Lane = value
	case "state":
		if s.State = value; !slices.Contains(States(), value) {
			p.fail(key, value, "want one of "+strings.Join(States(), ", "))
		}
	case "enhanced":
		s.Enhanced = value
	case "code":
		s.Code = int(p.number(key, value, 599))
	case "attempts":
		s.MinAttempts = int(p.number(key, value, 1<<16))
	case "size":
		s.MinSize = p.number(key, value, 1<<40)
	case "limit":
		s.Limit = int(p.number(key, value, 1<<31))
	case "older":
		s.OlderThan = p.duration(key, value)
	case "newer":
		s.NewerThan = p.duration(key, value)
	default:
		p.fail(key, value, "no such selector")
	}
}

func (p *selectorParser) id(key, value string) mail.ID {
	id, err := mail.ParseID(value)
	if err != nil {
		p.fail(key, value, err.Error())
	}
	return id
}

func (p *selectorParser) number(key, value string, most int64) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > most {
		p.fail(key, value, fmt.Sprintf("want a number up to %d", most))
	}
	return n
}

func (p *selectorParser) duration(key, value string) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		p.fail(key, value, `want a duration such as "90m"`)
	}
	return d
}

package queue

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"postrider/internal/mail"
	"postrider/queue/internal/rows"
)

// Filter chooses recipients that have not ended. A zero field chooses all; a
// recipient must fit every other. Addresses, domains and lanes are compared
// whole, ASCII letters without regard to case.
type Filter struct {
	IDs        []mail.ID // these messages only
	After      mail.ID   // only ids above it: the cursor for the next page
	From       string    // sender's address; "<>" is the null sender
	FromDomain string
	To         string // recipient's address
	ToDomain   string
	Lane       string // key of the lane
	State      State
	Code       int    // basic code of the last reply
	Enhanced   string // enhanced code of the last reply, as in "4.7.1"

	OlderThan   time.Duration // accepted at least that long ago
	NewerThan   time.Duration // accepted less than that ago
	MinAttempts int
	MinSize     int64 // bytes of text
	Limit       int   // most messages; 0: no limit

	until time.Time // accepted then or before
}

// matcher is a Filter made ready for use.
type matcher struct {
	Filter
	from, fromDomain, to, toDomain []byte
	now                            time.Time
	enhanced                       []byte
}

func newMatcher(f Filter, now time.Time) *matcher {
	if f.From == "<>" {
		f.From = "" // and set below, so that it is no zero field
		f.FromDomain = "<>"
	}
	f.IDs = slices.Clone(f.IDs)
	slices.SortFunc(f.IDs, mail.ID.Compare)
	f.IDs = slices.Compact(f.IDs)
	return &matcher{
		Filter: f, now: now,
		from: lower(f.From), fromDomain: lower(f.FromDomain), to: lower(f.To), toDomain: lower(f.ToDomain),
	}
}

func lower(s string) []byte { return []byte(strings.ToLower(s)) }

// message reports whether the envelope's own facts fit.
func (m *matcher) message(e *mail.Envelope) bool {
	var sender []byte
	if len(m.from)+len(m.fromDomain) > 0 {
		sender = rows.AppendLower(nil, e.Sender)
	}
	age := m.now.Sub(time.UnixMicro(e.ArrivedMicro))
	switch {
	case len(m.from) > 0 && !bytes.Equal(m.from, sender),
		m.OlderThan > 0 && age < m.OlderThan,
		m.NewerThan > 0 && age >= m.NewerThan,
		!m.until.IsZero() && e.ArrivedMicro > m.until.UnixMicro(),
		e.SizeBytes < m.MinSize:
		return false
	case string(m.fromDomain) == "<>":
		return len(sender) == 0
	}
	return len(m.fromDomain) == 0 || bytes.Equal(m.fromDomain, mail.DomainOf(sender))
}

// recipient reports whether a recipient's address and last reply fit.
func (m *matcher) recipient(address []byte, s *mail.Status) bool {
	if len(m.to)+len(m.toDomain) > 0 {
		a := rows.AppendLower(nil, address)
		if len(m.to) > 0 && !bytes.Equal(m.to, a) || len(m.toDomain) > 0 && !bytes.Equal(m.toDomain, mail.DomainOf(a)) {
			return false
		}
	}
	if m.Code != 0 && int(s.Code) != m.Code {
		return false
	}
	if m.Enhanced != "" {
		m.enhanced = s.Enhanced.AppendText(m.enhanced[:0])
		return string(m.enhanced) == m.Enhanced
	}
	return true
}

// waiting reports whether what the memory knows of a recipient fits.
func (m *matcher) waiting(r *RecipientState) bool {
	return (m.State == 0 || m.State == r.State) && int(r.Attempts) >= m.MinAttempts &&
		(m.Lane == "" || m.Lane == r.Lane)
}

package cli

import (
	"fmt"
	"time"
)

// Life gathers the events of one message. The zero Life is empty.
type Life struct {
	events []*Event
	lines  [][]byte
}

// Add takes an event of the message or of a notice about it; line is copied.
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

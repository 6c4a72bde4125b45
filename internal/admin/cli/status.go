package cli

import (
	"fmt"
	"time"

	"postrider/internal/admin"
)

// Status writes the whole system on one screen and returns the exit code: 0 ok,
// 1 warning, 2 critical.
func (p *Printer) Status(s *admin.Status) (int, error) {
	worst := s.Worst()
	if p.JSON {
		return int(worst), p.json(s)
	}
	return int(worst), p.status(s, worst)
}

func (p *Printer) status(s *admin.Status, worst admin.Level) error {
	t := p.table()
	// Errors of writing are kept by the table until Flush.
	fmt.Fprintf(t, "postrider %s\t%s\n", s.Version, p.paint(worst, worst.String()))
	fmt.Fprintf(t, "host\t%s, process %d, up %s\n", s.Hostname, s.PID, Age(p.Now.Sub(s.Started)))
	path := s.ConfigPath
	if path == "" {
		path = "built-in defaults"
	}
	fmt.Fprintf(t, "configuration\t%s, loaded %s ago\n", path, Age(p.Now.Sub(s.ConfigLoaded)))
	for _, l := range s.Listeners {
		fmt.Fprintf(t, "%s\t%s, %d connections, %d messages\n", l.Service, l.Address, l.Connections, l.Messages)
	}
	for _, c := range s.Queue {
		if c.Recipients == 0 && c.State != "ready" && c.State != "deferred" {
			continue
		}
		oldest := ""
		if c.Recipients > 0 {
			oldest = ", oldest " + Age(time.Duration(c.OldestSec*float64(time.Second)))
		}
		fmt.Fprintf(t, "%s\t%d recipients of %d messages%s\n", c.State, c.Recipients, c.Messages, oldest)
	}
	fmt.Fprintf(t, "texts\t%s in the queue, %s free on its disk\n", Bytes(s.QueueBytes), Bytes(int64(min(s.DiskFreeBytes, 1<<62))))
	fmt.Fprintf(t, "ledger\taccepted %d = ended %d + queued %d, imbalance %d\n", s.Ledger.Accepted, s.Ledger.Ended, s.Ledger.Queued, s.Ledger.Imbalance)
	if err := t.Flush(); err != nil {
		return err
	}
	if err := p.sites(s.Sites, mostSites); err != nil {
		return err
	}
	for _, pr := range s.Problems {
		if _, err := fmt.Fprintf(p.W, "%s: %s\n", p.paint(pr.Level, pr.Level.String()), Harmless(pr.Text)); err != nil {
			return err
		}
	}
	return nil
}

// mostSites is what fits one screen.
const mostSites = 20

func (p *Printer) paint(l admin.Level, s string) string {
	if !p.Color {
		return s
	}
	color := "32"
	switch l {
	case admin.LevelWarning:
		color = "33"
	case admin.LevelCritical:
		color = "31"
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Status is where a measurement stands.
type Status struct {
	Title    string // what runs: "steady postrider 3/12"
	Elapsed  time.Duration
	Total    time.Duration // 0: not known
	Rate     float64       // messages accepted a second, of late
	P50, P99 time.Duration // of late
	Queued   int64
	Lost     int64
}

// Progress shows a Status at most once a second: on a terminal as a line that is
// written over, elsewhere as lines of its own.
type Progress struct {
	out  io.Writer
	live bool

	mu    sync.Mutex // guards following
	last  time.Time
	width int // of the line that stands there, 0: none
}

const (
	progressEvery = time.Second // the least time between two lines
	usualColumns  = 80          // of a terminal that does not tell
	barWidth      = 12
	titleWidth    = 30
)

// NewProgress returns one that writes to out. live says that it is a terminal.
func NewProgress(out io.Writer, live bool) *Progress { return &Progress{out: out, live: live} }

// Terminal reports whether out is one that can write over a line.
func Terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func columns(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return usualColumns
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < 20 {
		return usualColumns
	}
	return int(size.Col)
}

// Show shows s, unless something was shown less than a second before.
func (p *Progress) Show(s Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.last.IsZero() && now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	if !p.live {
		fmt.Fprintln(p.out, s.title(false)+s.figures())
		return
	}
	columns := columns(p.out) - 1 // a full line would wrap, and not be written over
	line := clip(s.title(true)+s.figures(), columns)
	if strings.HasSuffix(line, "…") { // the figures matter more
		line = clip(clip(s.title(false), max(1, columns-utf8.RuneCountInString(s.figures())))+s.figures(), columns)
	}
	width := utf8.RuneCountInString(line)
	fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-width)))
	p.width = width
}

// Print writes a line that stays, above the live one.
func (p *Progress) Print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked()
	fmt.Fprintln(p.out, line)
	p.last = time.Time{}
}

// End clears the live line. Further calls begin anew.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked()
	p.last = time.Time{}
}

func (p *Progress) clearLocked() {
	if p.width > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// title says what runs and how far it is.
func (s Status) title(bar bool) string {
	title := clip(oneLine(s.Title), titleWidth)
	switch {
	case bar && s.Total > 0:
		done := min(1, max(0, s.Elapsed.Seconds()/s.Total.Seconds()))
		full := int(done*barWidth + 0.5)
		return fmt.Sprintf("%s ▕%s%s▏", title, strings.Repeat("█", full), strings.Repeat("·", barWidth-full))
	case s.Total > 0:
		return fmt.Sprintf("%s %.0f/%.0f s", title, s.Elapsed.Seconds(), s.Total.Seconds())
	default:
		return fmt.Sprintf("%s %.0f s", title, s.Elapsed.Seconds())
	}
}

func (s Status) figures() string {
	micros := func(d time.Duration) string { return duration(float64(d.Microseconds())) }
	return fmt.Sprintf(" %s/s p50 %s p99 %s queued %s lost %s",
		short(s.Rate), micros(s.P50), micros(s.P99), count(s.Queued), count(s.Lost))
}

// clip shortens s to n runes.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

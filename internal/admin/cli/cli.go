// Package cli writes what the operator's commands show: tables for people and
// JSON lines for programs. It is pure: values in, text out; asking the daemon
// and reading the log are the commands' own work.
//
// Text that came from a stranger (addresses, replies) is made harmless for a
// terminal on its way out.
//
// # Concurrency
//
// Nothing here is safe for concurrent use or needs to be.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"postrider/internal/admin"
)

// The exit codes of every command. `status` uses 0, 1 and 2 as monitoring
// plug-ins do: ok, warning, critical.
const (
	ExitOK      = 0
	ExitFailed  = 1
	ExitUsage   = 2
	ExitNothing = 3 // nothing matched
	ExitPartly  = 4 // some of what matched could not be done
)

// ExitCode returns the exit code for an error of a command; 0 for nil.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, admin.ErrNotFound):
		return ExitNothing
	case errors.Is(err, admin.ErrSelector):
		return ExitUsage
	}
	return ExitFailed
}

// ActionExitCode returns the exit code for what an action did.
func ActionExitCode(r admin.ActionResult) int {
	switch {
	case r.Matched == 0:
		return ExitNothing
	case r.Done < r.Matched:
		return ExitPartly
	}
	return ExitOK
}

// Printer writes to one output. Its methods return the first error of writing.
type Printer struct {
	W     io.Writer
	JSON  bool // one JSON object a line
	Color bool // with ANSI colours
	Now   time.Time
}

func (p *Printer) json(v any) error { return json.NewEncoder(p.W).Encode(v) }

// table returns a writer of columns; flush it with its Flush.
func (p *Printer) table() *tabwriter.Writer { return tabwriter.NewWriter(p.W, 0, 8, 2, ' ', 0) }

// Harmless returns s without anything that a terminal would act on.
func Harmless(s string) string {
	if strings.IndexFunc(s, hostile) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		if hostile(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hostile(r rune) bool { return !unicode.IsPrint(r) || r == '\u2028' || r == '\u2029' }

// Age writes a duration in its two largest units: "3h12m", "45s", "4d2h".
func Age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return two(int(d.Minutes()), "m", int(d.Seconds())%60, "s")
	case d < 24*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "m")
	}
	return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
}

func two(a int, unitA string, b int, unitB string) string {
	if b == 0 {
		return strconv.Itoa(a) + unitA
	}
	return strconv.Itoa(a) + unitA + strconv.Itoa(b) + unitB
}

// Bytes writes a size in the largest decimal unit: "41 KB", "1.9 GB".
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/1000, 0
	for v >= 999.5 && unit < len(units)-1 {
		v /= 1000
		unit++
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %cB", v, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", v, units[unit])
}

// sender shows the null sender as it is written on the wire.
func sender(s string) string {
	if s == "" {
		return "<>"
	}
	return Harmless(s)
}

// replyText joins code, enhanced code and text.
func replyText(code int, enh, text string) string {
	if code == 0 {
		return ""
	}
	s := strconv.Itoa(code)
	if enh != "" {
		s += " " + enh
	}
	if text != "" {
		s += " " + Harmless(text)
	}
	return s
}

package report

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func status(i int) Status {
	return Status{
		Title: "steady postrider 3/12", Elapsed: time.Duration(i) * 100 * time.Millisecond, Total: 30 * time.Second, Rate: 14_312,
		P50: 1200 * time.Microsecond, P99: 9800 * time.Microsecond, Queued: 120,
	}
}

func TestProgressPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := NewProgress(&b, false)
		for i := range 100 { // ten seconds
			p.Show(status(i))
			time.Sleep(100 * time.Millisecond)
		}
		p.End()
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 10 || lines[9] != "steady postrider 3/12 9/30 s 14.3k/s p50 1.20 ms p99 9.80 ms queued 120 lost 0" {
			t.Errorf("%d lines:\n%s", len(lines), &b)
		}
	})
}

// seen plays what a terminal shows, of lines written over by carriage returns.
func seen(s string) []string {
	var screen []string
	var line []rune
	at := 0
	for _, r := range s {
		switch r {
		case '\r':
			at = 0
		case '\n':
			screen, line, at = append(screen, strings.TrimRight(string(line), " ")), nil, 0
		default:
			if at == len(line) {
				line = append(line, ' ')
			}
			line[at] = r
			at++
		}
	}
	return append(screen, strings.TrimRight(string(line), " "))
}

func TestProgressLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := NewProgress(&b, true)
		long := status(150)
		long.Rate, long.Queued, long.Lost, long.P99 = 123_456, 123_456, 7, 1234567*time.Microsecond
		p.Show(long)
		if got := seen(b.String())[0]; !strings.HasSuffix(got, "queued 123k lost 7") || utf8.RuneCountInString(got) >= usualColumns {
			t.Errorf("a long line: %q", got)
		}
		time.Sleep(time.Second)
		short := status(15)
		short.Title = "x"
		p.Show(short)
		if got := seen(b.String())[0]; got != "x ▕█···········▏ 14.3k/s p50 1.20 ms p99 9.80 ms queued 120 lost 0" {
			t.Errorf("the short line shows the rest of the long one: %q", got)
		}
		p.Show(status(16))
		p.Print("postfix: started")
		p.Show(Status{Title: "after\x1b[2J a line"})
		if got := seen(b.String()); len(got) != 2 || got[0] != "postfix: started" || got[1] != "after [2J a line 0 s 0/s p50 0 p99 0 queued 0 lost 0" {
			t.Errorf("%q", got)
		}
		p.End()
		if got := seen(b.String()); len(got) != 2 || got[1] != "" {
			t.Errorf("the line is left behind: %q", got)
		}
	})
}

func TestTerminal(t *testing.T) {
	if Terminal(new(strings.Builder)) {
		t.Error("a string is a terminal")
	}
}

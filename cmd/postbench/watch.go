package main

import (
	"io"
	"time"

	"postrider/bench"
	"postrider/bench/report"
)

// watcher shows a plan while it is carried out.
type watcher struct {
	p        *report.Progress
	title    string
	expected time.Duration
}

func newWatcher(w io.Writer) *watcher {
	return &watcher{p: report.NewProgress(w, report.Terminal(w))}
}

func (w *watcher) Note(line string) { w.p.Print(line) }

func (w *watcher) Begin(title string, expected time.Duration) { w.title, w.expected = title, expected }

func (w *watcher) Live(l bench.Live) {
	micros := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	title := w.title
	if l.Phase != "load" {
		title += " " + l.Phase
	}
	rate := l.Rate
	if l.Phase == "drain" {
		rate = l.Delivered
	}
	w.p.Show(report.Status{
		Title: title, Elapsed: l.Elapsed, Total: w.expected, Rate: rate,
		P50: micros(l.P50Micros), P99: micros(l.P99Micros), Queued: l.Queued, Lost: l.Lost,
	})
}

func (w *watcher) end() { w.p.End() }

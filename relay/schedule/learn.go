package schedule

import (
	"math"
	"time"
)

// Learned is a window that is worth keeping for the next start.
type Learned struct {
	Source string    `json:"source,omitempty"`
	Site   string    `json:"site"`
	Window float64   `json:"window"`
	At     time.Time `json:"at"` // when it was in use last
}

type learnedKey struct{ source, site string }

type learned struct {
	window float64
	at     time.Time
}

const (
	maxLearned     = 100_000
	learnedExpires = 7 * 24 * time.Hour
	learnedHalf    = 12 * time.Hour // what was learned is believed half as much after it
)

// Export returns what the windows have learned.
func (s *Scheduler) Export(now time.Time) []Learned {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wall = now
	for _, l := range s.lanes {
		s.keepLocked(l)
	}
	out := make([]Learned, 0, len(s.learned))
	for k, v := range s.learned {
		if now.Sub(v.at) < learnedExpires {
			out = append(out, Learned{Source: k.source, Site: k.site, Window: v.window, At: v.at.Round(0)})
		}
	}
	return out
}

// Import takes in what an earlier run has learned, for lanes that are made later.
func (s *Scheduler) Import(now time.Time, list []Learned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wall = now
	for _, v := range list {
		if age := now.Sub(v.At); v.Window > 0 && age < learnedExpires && age > -learnedExpires && len(s.learned) < maxLearned {
			s.learned[learnedKey{v.Source, v.Site}] = learned{v.Window, v.At}
		}
	}
}

// keepLocked notes what a lane's window has learned.
func (s *Scheduler) keepLocked(l *Lane) {
	w := l.window.Learned()
	if w == 0 {
		return
	}
	k := learnedKey{l.key.Source, l.key.Site}
	if _, known := s.learned[k]; !known && len(s.learned) >= maxLearned {
		return
	}
	at := s.wall
	if l.conns == 0 && l.rested != 0 {
		at = at.Add(-time.Duration(s.last - l.rested))
	}
	s.learned[k] = learned{w, at}
}

// recallLocked opens a new lane's window at what is left of what was learned.
func (s *Scheduler) recallLocked(l *Lane) {
	v, known := s.learned[learnedKey{l.key.Source, l.key.Site}]
	if !known {
		return
	}
	age := s.wall.Sub(v.at)
	if age >= learnedExpires {
		return
	}
	l.window.Open(s.mostOfLocked(l), v.window, math.Pow(0.5, float64(max(age, 0))/float64(learnedHalf)))
}

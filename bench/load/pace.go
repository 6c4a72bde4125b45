package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Pace says when messages are due. The zero value is the closed loop: each
// connection sends its next message when the one before has its reply. With any
// other the load is open: a message is due at its moment whatever the server does,
// and its response latency counts from that moment.
type Pace struct {
	kind     paceKind
	rate     float64 // messages a second; burst: between bursts; ramp: at first
	peak     float64 // of a burst
	step     float64 // of a ramp; percent when percent is set
	percent  bool
	every    time.Duration
	length   time.Duration // of a burst
	file     string
	speed    float64 // of a replay
	schedule []slot  // of a replay
}

type paceKind uint8

const (
	closed paceKind = iota
	constant
	poisson
	burst
	ramp
	replay
)

var paceNames = [...]string{"closed", "constant", "poisson", "burst", "ramp", "replay"}

// slot is a message of a schedule.
type slot struct {
	at         time.Duration // since the beginning
	bytes      int32         // 0: the model's choice
	recipients int32         // 0: the model's choice
}

// ParsePace reads a pace; rates are messages a second.
//
//	closed                                       the closed loop
//	constant:1000                                evenly spaced
//	poisson:1000                                 independent arrivals of that mean rate
//	burst:base=500,peak=5000,for=10s,every=30s   each 30 s end with 10 s at 5000
//	ramp:from=500,step=10%,every=10s             500, 550, 605, ...
//	ramp:from=500,step=100,every=10s             500, 600, 700, ...
//	replay:FILE                                  moments, sizes and numbers of recipients of a log
//	replay:FILE,speed=10                         the same, ten times as fast
//
// A replayed log is the event log of this project (its "accepted" events) or what
// Postfix writes to syslog (its "queue active" lines); the first message is due at
// once. Where a log knows whole seconds only, their messages are spread evenly.
func ParsePace(text string) (Pace, error) {
	kind, rest, _ := strings.Cut(text, ":")
	p, err := parsePace(kind, rest)
	if err != nil {
		return Pace{}, modelErr("pace", text, err)
	}
	return p, nil
}

func parsePace(kind, rest string) (p Pace, err error) {
	switch kind {
	case "", "closed":
		if rest != "" {
			err = errNumber
		}
	case "constant", "poisson":
		p.kind = constant
		if kind == "poisson" {
			p.kind = poisson
		}
		p.rate, err = parseRate(rest)
	case "burst":
		s := newSpec(rest)
		p = Pace{
			kind: burst, rate: value(s, "base", -1, parseBase), peak: value(s, "peak", -1, parseRate),
			length: value(s, "for", -1, parseSpan), every: value(s, "every", -1, parseCycle),
		}
		if err = s.done(); err == nil && p.length >= p.every {
			err = fmt.Errorf("a burst of %v does not fit into %v", p.length, p.every)
		}
	case "ramp":
		s := newSpec(rest)
		p = Pace{kind: ramp, rate: value(s, "from", -1, parseRate), every: value(s, "every", -1, parseCycle)}
		p.step = value(s, "step", -1, func(v string) (float64, error) {
			v, p.percent = strings.CutSuffix(v, "%")
			return parseFloat(v, 0, maxRate)
		})
		err = s.done()
	case "replay":
		p = Pace{kind: replay, file: rest, speed: 1}
		if i := strings.LastIndex(rest, ",speed="); i >= 0 {
			p.file = rest[:i]
			if p.speed, err = parseFloat(rest[i+len(",speed="):], 0, 1e6); err != nil {
				return p, err
			}
		}
		p.schedule, err = readReplay(p.file)
	default:
		err = fmt.Errorf("none of %s", strings.Join(paceNames[:], ", "))
	}
	return p, err
}

// parseBase reads a rate that may be 0.
func parseBase(text string) (float64, error) {
	if text == "0" {
		return 0, nil
	}
	return parseRate(text)
}

// String returns p as ParsePace reads it.
func (p Pace) String() string {
	switch p.kind {
	case constant, poisson:
		return paceNames[p.kind] + ":" + formatFloat(p.rate)
	case burst:
		return fmt.Sprintf("burst:base=%s,peak=%s,for=%v,every=%v", formatFloat(p.rate), formatFloat(p.peak), p.length, p.every)
	case ramp:
		unit := ""
		if p.percent {
			unit = "%"
		}
		return fmt.Sprintf("ramp:from=%s,step=%s%s,every=%v", formatFloat(p.rate), formatFloat(p.step), unit, p.every)
	case replay:
		if p.speed != 1 {
			return "replay:" + p.file + ",speed=" + formatFloat(p.speed)
		}
		return "replay:" + p.file
	}
	return "closed"
}

// Model returns the kind of pace: closed, constant, poisson, burst, ramp, replay.
func (p Pace) Model() string { return paceNames[p.kind] }

// Closed reports whether p is the closed loop.
func (p Pace) Closed() bool { return p.kind == closed }

// Rate returns the mean of the intended messages a second; of a ramp the rate at
// which it begins, of the closed loop 0.
func (p Pace) Rate() float64 {
	switch p.kind {
	case burst:
		share := float64(p.length) / float64(p.every)
		return p.peak*share + p.rate*(1-share)
	case replay:
		if n := len(p.schedule); n > 1 && p.schedule[n-1].at > 0 {
			return float64(n-1) / p.schedule[n-1].at.Seconds() * p.speed
		}
		return 0
	}
	return p.rate
}

// Scale returns p with every rate multiplied by f, which must be above zero; a
// replay runs f times as fast. The closed loop stays as it is.
func (p Pace) Scale(f float64) Pace {
	p.rate, p.peak, p.speed = p.rate*f, p.peak*f, p.speed*f
	if p.kind == ramp && !p.percent {
		p.step *= f
	}
	return p
}

// at returns the rate at t seconds and until when it is that. Before 0 it is what
// it is at 0.
func (p *Pace) at(t float64) (rate, until float64) {
	switch p.kind {
	case burst:
		every := p.every.Seconds()
		cycle := math.Floor(t / every)
		if from := (cycle+1)*every - p.length.Seconds(); t < from || t < 0 {
			return p.rate, max(from, every-p.length.Seconds())
		}
		return p.peak, (cycle + 1) * every
	case ramp:
		every := p.every.Seconds()
		n := max(0, math.Floor(t/every))
		if p.percent {
			rate = p.rate * math.Pow(1+p.step/100, n)
		} else {
			rate = p.rate + p.step*n
		}
		return min(rate, maxRate), (n + 1) * every
	}
	return p.rate, math.Inf(1)
}

// plan gives the moments of an open pace one after another.
type plan struct {
	pace   Pace
	random *rand.Rand
	now    float64 // moment of the last message, in seconds
	n      int     // messages so far
}

// newPlan begins at from, which is below zero when there is a warm-up.
func newPlan(p Pace, seed uint64, from time.Duration) *plan {
	return &plan{pace: p, random: rand.New(rand.NewPCG(seed, 0x70616365)), now: from.Seconds()}
}

// next returns the next message; false when a replay is over.
func (p *plan) next() (slot, bool) {
	if p.pace.kind == replay {
		if p.n == len(p.pace.schedule) {
			return slot{}, false
		}
		s := p.pace.schedule[p.n]
		s.at = time.Duration(p.now*float64(time.Second)) + time.Duration(float64(s.at)/p.pace.speed)
		p.n++
		return s, true
	}
	work := 1.0
	switch {
	case p.pace.kind == poisson:
		work = p.random.ExpFloat64()
	case p.n == 0:
		work = 0
	}
	p.n++
	for {
		rate, until := p.pace.at(p.now)
		// A boundary that rounding has put at or before now is passed all the same.
		until = max(until, math.Nextafter(p.now, math.Inf(1)))
		if part := (until - p.now) * rate; part < work {
			work -= part
			p.now = until
			continue
		}
		p.now += work / rate
		return slot{at: time.Duration(p.now * float64(time.Second))}, true
	}
}

package sink

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as "200ms".
type Duration time.Duration

// UnmarshalText reads a duration that is not below zero.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := parseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func parseDuration(text string) (time.Duration, error) {
	v, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is no duration such as 200ms", text)
	}
	return v, nil
}

// Share is a part of the whole, 0 to 1, written in percent: "2.5%".
type Share float64

// UnmarshalText reads a share.
func (s *Share) UnmarshalText(text []byte) error {
	v, err := parsePercent(string(text))
	if err != nil {
		return err
	}
	*s = Share(v)
	return nil
}

// MarshalText writes a share.
func (s Share) MarshalText() ([]byte, error) {
	return []byte(strconv.FormatFloat(float64(s)*100, 'g', 12, 64) + "%"), nil
}

func parsePercent(text string) (float64, error) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(v >= 0 && v <= 100) {
		return 0, fmt.Errorf("%q is no share from 0%% to 100%%", text)
	}
	return v / 100, nil
}

// Delay is a time that is drawn anew in each case:
//
//	20ms
//	uniform:20ms-400ms
//	exponential:mean=50ms
//	lognormal:median=50ms,p99=2s
type Delay struct{ text string }

// ParseDelay reads a delay; "" is none.
func ParseDelay(text string) (Delay, error) {
	d := Delay{text}
	_, err := d.parse()
	return d, err
}

// UnmarshalText reads a delay.
func (d *Delay) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDelay(string(text))
	return err
}

// MarshalText writes a delay as it was read.
func (d Delay) MarshalText() ([]byte, error) { return []byte(d.text), nil }

// sampler draws delays.
type sampler struct {
	kind uint8
	a, b float64 // nanoseconds; of lognormal mu and sigma of those
}

const (
	fixed uint8 = iota
	uniform
	exponential
	lognormal
)

// quantile99 is the 99th percentile of the standard normal distribution.
const quantile99 = 2.3263478740408408

// parse makes a sampler of the text; nil for "".
func (d Delay) parse() (*sampler, error) {
	text := strings.TrimSpace(d.text)
	if text == "" {
		return nil, nil
	}
	kind, args, ok := strings.Cut(text, ":")
	bad := fmt.Errorf("%q is no delay: 20ms, uniform:20ms-400ms, exponential:mean=50ms or lognormal:median=50ms,p99=2s", d.text)
	if !ok {
		v, err := parseDuration(text)
		if err != nil {
			return nil, bad
		}
		return &sampler{a: float64(v)}, nil
	}
	values := func(sep string, names ...string) (v []float64) {
		for i, f := range strings.Split(args, sep) {
			if i == len(names) {
				return nil
			}
			f, named := strings.CutPrefix(strings.TrimSpace(f), names[i])
			x, err := parseDuration(f)
			if err != nil || !named {
				return nil
			}
			v = append(v, float64(x))
		}
		return v
	}
	switch kind {
	case "uniform":
		if v := values("-", "", ""); len(v) == 2 && v[0] <= v[1] {
			return &sampler{uniform, v[0], v[1]}, nil
		}
	case "exponential":
		if v := values(",", "mean="); len(v) == 1 {
			return &sampler{exponential, v[0], 0}, nil
		}
	case "lognormal":
		if v := values(",", "median=", "p99="); len(v) == 2 && v[0] > 0 && v[0] <= v[1] {
			return &sampler{lognormal, math.Log(v[0]), math.Log(v[1]/v[0]) / quantile99}, nil
		}
	}
	return nil, bad
}

// draw returns a delay of at most an hour.
func (s *sampler) draw(r *rand.Rand) time.Duration {
	if s == nil {
		return 0
	}
	v := s.a
	switch s.kind {
	case uniform:
		v += r.Float64() * (s.b - s.a)
	case exponential:
		v *= r.ExpFloat64()
	case lognormal:
		v = math.Exp(s.a + s.b*r.NormFloat64())
	}
	return time.Duration(min(v, float64(time.Hour)))
}

// Window is a time since the beginning of a measurement: "10s to 40s" or "10s-40s".
type Window struct{ text string }

// ParseWindow reads a window.
func ParseWindow(text string) (Window, error) {
	w := Window{text}
	_, err := w.parse()
	return w, err
}

// UnmarshalText reads a window.
func (w *Window) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWindow(string(text))
	return err
}

// MarshalText writes a window as it was read.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.text), nil }

// span is a Window as numbers.
type span struct{ from, to time.Duration }

func (w Window) parse() (span, error) {
	from, to, ok := strings.Cut(w.text, " to ")
	if !ok {
		from, to, ok = strings.Cut(w.text, "-")
	}
	a, err := parseDuration(from)
	b, err2 := parseDuration(to)
	if !ok || err != nil || err2 != nil || a >= b {
		return span{}, fmt.Errorf("%q is no time such as \"10s to 40s\"", w.text)
	}
	return span{a, b}, nil
}

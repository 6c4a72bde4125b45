package load

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrModel reports a text that describes no pace, size, shape, number of
// recipients or set of domains.
var ErrModel = errors.New("load: bad model")

func modelErr(what, text string, err error) error {
	return fmt.Errorf("%w: %s %q: %w", ErrModel, what, text, err)
}

// spec is what stands behind the colon of "zipf:n=500,s=1.1". The first error
// stays, so that all values are read before anybody asks.
type spec struct {
	values map[string]string
	err    error
}

func newSpec(text string) *spec {
	p := &spec{values: map[string]string{}}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := p.values[key]; !ok || twice || key == "" {
			p.fail(fmt.Errorf("%q is no KEY=VALUE, or comes twice", part))
			return p
		}
		p.values[key] = value
	}
	return p
}

func (p *spec) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// take returns the value of key and forgets it.
func (p *spec) take(key string) (string, bool) {
	v, ok := p.values[key]
	delete(p.values, key)
	return v, ok
}

// value reads key by parse; without the key it is def, or an error when def is
// below 0.
func value[T int | float64 | time.Duration](p *spec, key string, def T, parse func(string) (T, error)) T {
	v, ok := p.take(key)
	if !ok {
		if def < 0 {
			p.fail(fmt.Errorf("%s= is missing", key))
		}
		return def
	}
	t, err := parse(v)
	if err != nil {
		p.fail(fmt.Errorf("%s=%s: %w", key, v, err))
	}
	return t
}

// done returns the first error; a key that nobody asked for is one.
func (p *spec) done() error {
	if p.err == nil && len(p.values) > 0 {
		var keys []string
		for k := range p.values {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		p.err = fmt.Errorf("%s is not known", strings.Join(keys, ", "))
	}
	return p.err
}

var (
	errNumber = errors.New("no such number")
	errBytes  = errors.New("a number of bytes, with k, M or G for powers of 1024")
)

// maxBytes is the largest text.
const maxBytes = 1 << 30

// parseBytes reads 4096, 10k, 1.5M.
func parseBytes(text string) (int, error) {
	unit := 1.0
	for suffix, u := range map[string]float64{"k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if t, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = t, u
			break
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if n := f * unit; err == nil && n >= 1 && n <= maxBytes {
		return int(n), nil
	}
	return 0, errBytes
}

// The lowest and the highest rate in messages a second.
const (
	minRate = 1e-3
	maxRate = 1e7
)

func parseRate(text string) (float64, error) {
	f, err := parseFloat(text, 0, maxRate)
	if err == nil && f < minRate {
		err = errNumber
	}
	return f, err
}

// parseFloat reads a number above low, up to high.
func parseFloat(text string, low, high float64) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f <= low || f > high {
		return 0, errNumber
	}
	return f, nil
}

func parseCount(text string, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > high {
		return 0, errNumber
	}
	return n, nil
}

// parseSpan reads a time above zero and up to a year.
func parseSpan(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > 366*24*time.Hour {
		return 0, errNumber
	}
	return d, nil
}

// parseCycle reads a span of at least 10 ms: a plan walks from one to the next.
func parseCycle(text string) (time.Duration, error) {
	d, err := parseSpan(text)
	if err == nil && d < 10*time.Millisecond {
		err = errNumber
	}
	return d, err
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

package load

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// Size is a share of the messages: those of Bytes, headers included.
type Size struct {
	Bytes  int
	Weight int // 0: 1
}

// Sizes say how large the texts are, headers included. The zero value is 4096
// bytes.
type Sizes struct {
	text       string
	ranges     []span // by weight, drawn by pick
	pick       *alias
	mu, sigma  float64 // of the logarithm; sigma 0: by ranges
	low, high  int
	corpus     []sample // whole messages instead of generated ones
	corpusFrom string
}

// span is a range of sizes, all alike probable.
type span struct{ low, high int }

// ParseSizes reads a distribution of sizes; k and M are powers of 1024.
//
//	4096, 10k                        all of one size
//	4096:80,65536:20                 a mix by weight
//	lognormal:median=12k,p99=2M      up to max=, which is 8 times p99 unless given
//	histogram:FILE                   lines "BYTES WEIGHT" or "LOW-HIGH WEIGHT", # begins a comment
//	corpus:DIR                       the files of a folder, each a message as it is
//
// A size below what the headers need becomes that, except that the first two
// forms may not ask for one.
func ParseSizes(text string) (Sizes, error) {
	s, err := parseSizes(text)
	if err != nil {
		return Sizes{}, modelErr("sizes", text, err)
	}
	s.text = text
	return s, nil
}

func parseSizes(text string) (Sizes, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "lognormal":
		return parseLognormal(rest)
	case "histogram":
		f, err := os.Open(rest)
		if err != nil {
			return Sizes{}, err
		}
		defer func() { _ = f.Close() }() // was only read
		spans, weights, err := parseHistogram(f)
		if err != nil {
			return Sizes{}, err
		}
		return newSizes(spans, weights), nil
	case "corpus":
		samples, err := readCorpus(rest)
		return Sizes{corpus: samples, corpusFrom: rest}, err
	}
	var sizes []Size
	for part := range strings.SplitSeq(text, ",") {
		b, w, weighted := strings.Cut(strings.TrimSpace(part), ":")
		n, err := parseBytes(b)
		weight := 1
		if err == nil && weighted {
			weight, err = parseCount(w, 1<<30)
		}
		if err != nil {
			return Sizes{}, err
		}
		sizes = append(sizes, Size{Bytes: n, Weight: weight})
	}
	return MixSizes(sizes...), nil
}

// MixSizes returns a mix by weight.
func MixSizes(sizes ...Size) Sizes {
	var spans []span
	var weights []float64
	var text []string
	for _, z := range sizes {
		spans = append(spans, span{z.Bytes, z.Bytes})
		weights = append(weights, float64(max(1, z.Weight)))
		text = append(text, fmt.Sprintf("%d:%d", z.Bytes, max(1, z.Weight)))
	}
	if len(spans) == 0 {
		return Sizes{}
	}
	s := newSizes(spans, weights)
	s.text = strings.Join(text, ",")
	return s
}

func newSizes(spans []span, weights []float64) Sizes {
	s := Sizes{ranges: spans, pick: newAlias(weights), low: spans[0].low}
	for _, r := range spans {
		s.low, s.high = min(s.low, r.low), max(s.high, r.high)
	}
	return s
}

// p99 is the place of the 99th percentile in a normal distribution.
const p99 = 2.3263478740408408

func parseLognormal(rest string) (Sizes, error) {
	p := newSpec(rest)
	median, top := value(p, "median", -1, parseBytes), value(p, "p99", -1, parseBytes)
	high := value(p, "max", min(maxBytes, 8*max(0, top)), parseBytes)
	err := p.done()
	if err == nil && !(median < top && top <= high) {
		err = errors.New("not median < p99 <= max")
	}
	if err != nil {
		return Sizes{}, err
	}
	mu := math.Log(float64(median))
	return Sizes{mu: mu, sigma: (math.Log(float64(top)) - mu) / p99, low: 1, high: high}, nil
}

// parseHistogram reads lines "BYTES WEIGHT" or "LOW-HIGH WEIGHT".
func parseHistogram(r io.Reader) (spans []span, weights []float64, err error) {
	err = eachWeighted(r, func(name string, weight float64) error {
		low, high, ranged := strings.Cut(name, "-")
		var z span
		var err error
		if z.low, err = parseBytes(low); err != nil {
			return err
		}
		z.high = z.low
		if ranged {
			if z.high, err = parseBytes(high); err == nil && z.high < z.low {
				err = errBytes
			}
		}
		spans, weights = append(spans, z), append(weights, weight)
		return err
	})
	return spans, weights, err
}

// String returns s as ParseSizes reads it.
func (s Sizes) String() string {
	if s.text == "" {
		return "4096"
	}
	return s.text
}

// check refuses sizes below least, when they are fixed ones.
func (s *Sizes) check(least int) error {
	if s.pick == nil {
		return nil
	}
	for _, r := range s.ranges {
		if r.low == r.high && r.low < least || r.high > maxBytes {
			return fmt.Errorf("%w: a size of %s bytes, where %d to %d will do", ErrOptions, strconv.Itoa(r.low), least, maxBytes)
		}
	}
	return nil
}

// draw returns the size of a message, or the index of one in the corpus.
func (s *Sizes) draw(u uint64) int {
	switch {
	case s.corpus != nil:
		return below(u, len(s.corpus))
	case s.sigma > 0:
		n := math.Exp(s.mu + s.sigma*math.Sqrt2*math.Erfinv(2*unit(u)-1))
		return int(min(max(n, 1), float64(s.high)))
	case s.pick == nil:
		return 4096
	case len(s.ranges) == 1:
		return s.ranges[0].low + below(u, s.ranges[0].high-s.ranges[0].low+1)
	}
	r := s.ranges[s.pick.pick(u)]
	return r.low + below(u*0x9e3779b97f4a7c15, r.high-r.low+1)
}

package load

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// maxDomains is how many domains a run may have.
const maxDomains = 1 << 20

// Domains say where recipients live. The zero value is "sink.invalid".
type Domains struct {
	text  string
	names []string // nil: d0.bench.test and so on
	n     int
	pick  *alias // nil: alike probable, or in turn when turn is set
	turn  bool
}

// DomainList returns domains that are used in turn.
func DomainList(names ...string) Domains {
	if len(names) == 0 {
		return Domains{}
	}
	return Domains{text: strings.Join(names, ","), names: names, n: len(names), turn: true}
}

// ParseDomains reads a set of domains.
//
//	a.test,b.test        these, in turn
//	uniform:n=1000       d0.bench.test to d999.bench.test, all alike probable
//	zipf:n=1000,s=1.0    the same by Zipf's law: d<k> as often as 1/(k+1)^s
//	weights:FILE         lines "DOMAIN WEIGHT", # begins a comment
func ParseDomains(text string) (Domains, error) {
	d, err := parseDomains(text)
	if err == nil {
		for _, name := range d.names {
			if !plainDomain(name) {
				err = fmt.Errorf("%q is no domain", name)
				break
			}
		}
	}
	if err != nil {
		return Domains{}, modelErr("domains", text, err)
	}
	d.text = text
	return d, nil
}

func parseDomains(text string) (d Domains, err error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		var names []string
		for name := range strings.SplitSeq(text, ",") {
			names = append(names, strings.TrimSpace(name))
		}
		return DomainList(names...), nil
	}
	count := func(v string) (int, error) { return parseCount(v, maxDomains) }
	switch kind {
	case "uniform":
		p := newSpec(rest)
		d.n = value(p, "n", -1, count)
		return d, p.done()
	case "zipf":
		p := newSpec(rest)
		d.n = value(p, "n", -1, count)
		s := value(p, "s", 1, parseExponent)
		if err = p.done(); err == nil {
			d.pick = newAlias(zipfWeights(d.n, s))
		}
		return d, err
	case "weights":
		f, err := os.Open(rest)
		if err != nil {
			return d, err
		}
		defer func() { _ = f.Close() }() // was only read
		var weights []float64
		err = eachWeighted(f, func(name string, weight float64) error {
			d.names, weights = append(d.names, name), append(weights, weight)
			return nil
		})
		if err == nil {
			d.n, d.pick = len(d.names), newAlias(weights)
		}
		return d, err
	}
	return d, errors.New("none of uniform, zipf, weights")
}

// plainDomain reports whether name can stand in an address as it is: letters,
// digits, hyphens and dots, or bytes above 127.
func plainDomain(name string) bool {
	if name == "" || len(name) > 255 || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c > 127:
		default:
			return false
		}
	}
	return true
}

// String returns d as ParseDomains reads it.
func (d Domains) String() string {
	if d.text == "" {
		return "sink.invalid"
	}
	return d.text
}

// List returns every domain.
func (d Domains) List() []string {
	if d.n == 0 {
		return []string{"sink.invalid"}
	}
	list := make([]string, d.n)
	for i := range list {
		list[i] = string(d.append(nil, i))
	}
	return list
}

// draw returns the index of the domain of recipient n of a message.
func (d *Domains) draw(seed, order uint64, n int) int {
	switch {
	case d.n <= 1:
		return 0
	case d.turn:
		return int((order + uint64(n)) % uint64(d.n))
	}
	u := draw(seed, order, drawDomain+uint64(n))
	if d.pick != nil {
		return d.pick.pick(u)
	}
	return below(u, d.n)
}

// append appends the name of a domain.
func (d *Domains) append(dst []byte, i int) []byte {
	switch {
	case d.n == 0:
		return append(dst, "sink.invalid"...)
	case d.names != nil:
		return append(dst, d.names[i]...)
	}
	return append(strconv.AppendInt(append(dst, 'd'), int64(i), 10), ".bench.test"...)
}

package sink

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// DomainSet names some of the domains of a farm, parts with commas between:
//
//   - all
//     a.test     this one
//     .a.test    those below it
//     d7         the one whose first label this is
//     d0-d99     those whose first label has the number
//     5%         a twentieth of them
//     5%-10%     the next twentieth
//
// Percentages go by an order in which a domain's place is unrelated to its number,
// and of which each part has nearly its exact share of the domains.
type DomainSet struct{ text string }

// ParseDomainSet reads a set.
func ParseDomainSet(text string) (DomainSet, error) {
	d := DomainSet{text}
	_, err := d.parse()
	return d, err
}

// UnmarshalText reads a set.
func (d *DomainSet) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDomainSet(string(text))
	return err
}

// MarshalText writes a set as it was read.
func (d DomainSet) MarshalText() ([]byte, error) { return []byte(d.text), nil }

// domainRule is a part of a DomainSet.
type domainRule struct {
	all           bool
	name, below   string
	prefix        string // of the first label, before its number
	first, last   int
	shareFrom, to float64
}

func (d DomainSet) parse() (rules []domainRule, err error) {
	for part := range strings.SplitSeq(d.text, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		r, err := parseDomainRule(part)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseDomainRule(part string) (r domainRule, err error) {
	bad := fmt.Errorf("%q names no domains: *, a.test, .a.test, d0-d99, 5%% or 5%%-10%%", part)
	switch {
	case part == "*":
		return domainRule{all: true}, nil
	case part == "" || strings.ContainsAny(part, " \t<>@"):
		return r, bad
	case strings.HasSuffix(part, "%"):
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			from, to = "0%", part
		}
		if r.shareFrom, err = parsePercent(from); err != nil {
			return r, bad
		}
		if r.to, err = parsePercent(to); err != nil || r.to <= r.shareFrom {
			return r, bad
		}
		return r, nil
	case part[0] == '.':
		return domainRule{below: part}, nil
	case strings.Contains(part, "."):
		return domainRule{name: part}, nil
	}
	first, last, isRange := strings.Cut(part, "-")
	prefix, n, ok := splitNumber(first)
	if !isRange {
		if !ok {
			return r, bad
		}
		return domainRule{prefix: prefix, first: n, last: n}, nil
	}
	prefix2, m, ok2 := splitNumber(last)
	if !ok || !ok2 || prefix != prefix2 || n > m {
		return r, bad
	}
	return domainRule{prefix: prefix, first: n, last: m}, nil
}

// splitNumber splits "d12" into "d" and 12.
func splitNumber(label string) (prefix string, n int, ok bool) {
	prefix = strings.TrimRight(label, "0123456789")
	n, err := strconv.Atoi(label[len(prefix):])
	return prefix, n, err == nil && prefix != "" && strconv.Itoa(n) == label[len(prefix):]
}

// fits reports whether a rule names the ith domain. A domain that is not of the
// farm has i below 0, and is in no share.
func (r *domainRule) fits(domain string, i int) bool {
	switch {
	case r.all || r.name != "" && r.name == domain:
		return true
	case r.below != "":
		return strings.HasSuffix(domain, r.below)
	case r.to > 0:
		at := order(i)
		return i >= 0 && at >= r.shareFrom && at < r.to
	case r.prefix != "":
		label, _, _ := strings.Cut(domain, ".")
		prefix, n, ok := splitNumber(label)
		return ok && prefix == r.prefix && n >= r.first && n <= r.last
	}
	return false
}

// order maps the numbers of domains into [0, 1) so that any run of them is spread
// evenly: multiples of the golden ratio. Number 0, which is often the busiest, is
// in the middle.
func order(i int) float64 {
	_, f := math.Modf(0.5 + float64(i)*(math.Sqrt(5)-1)/2)
	return f
}

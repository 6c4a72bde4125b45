package report

import (
	"math"
	"strconv"
	"strings"

	"postrider/bench/result"
)

// Numbers have three significant digits and a unit that keeps them short.

// digits writes v with three significant digits and without an exponent.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return "?"
	case math.IsInf(v, 1):
		return "∞"
	case a >= 99.95 || a == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 0.0995:
		return strconv.FormatFloat(v, 'f', 3, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

// short writes a number with k, M or G.
func short(v float64) string {
	for _, u := range []struct {
		from, unit float64
		suffix     string
	}{{999.5e6, 1e9, "G"}, {999.5e3, 1e6, "M"}, {9995, 1e3, "k"}} {
		if math.Abs(v) >= u.from {
			return digits(v/u.unit) + u.suffix
		}
	}
	if math.Abs(v) >= 999.5 {
		return whole(int64(math.Round(v)))
	}
	return digits(v)
}

// duration writes microseconds.
func duration(us float64) string {
	switch a := math.Abs(us); {
	case math.IsNaN(us) || math.IsInf(us, 0):
		return "?"
	case a == 0:
		return "0"
	case a < 999.5:
		return digits(us) + " µs"
	case a < 999.5e3:
		return digits(us/1e3) + " ms"
	case a < 119.5e6:
		return digits(us/1e6) + " s"
	case a < 7200e6:
		return digits(us/60e6) + " min"
	default:
		return digits(us/3600e6) + " h"
	}
}

// bytes writes a size.
func bytes(v float64) string {
	if math.Abs(v) < 1023.5 {
		return digits(v) + " B"
	}
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if v /= 1024; math.Abs(v) < 1023.5 {
			return digits(v) + " " + unit
		}
	}
	return digits(v/1024) + " TiB"
}

// whole writes a count with commas.
func whole(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// percent writes a share.
func percent(share float64) string { return digits(share*100) + "%" }

// count writes a count, shortly when it is large.
func count(n int64) string {
	if n < 10_000 && n > -10_000 {
		return whole(n)
	}
	return short(float64(n))
}

// inUnit writes a figure below a title, which says what is meant by the second.
func inUnit(v float64, u result.Unit) string {
	switch u {
	case result.Micros:
		return duration(v)
	case result.Bytes:
		return bytes(v)
	default:
		return short(v)
	}
}

// ratio writes a factor.
func ratio(v float64) string {
	if math.IsNaN(v) {
		return "?"
	}
	return digits(v) + "×"
}

// between writes an interval, with the unit once where it is the same.
func between(lo, hi float64, u result.Unit) string {
	from, to := inUnit(lo, u), inUnit(hi, u)
	if number, unit, ok := strings.Cut(from, " "); ok && strings.HasSuffix(to, " "+unit) {
		from = number
	}
	return from + " – " + to
}

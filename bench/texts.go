package bench

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// orElse returns v, or other when v is empty.
func orElse(v, other string) string {
	if v == "" {
		return other
	}
	return v
}

// rates replaces shares by rates: of 200 a second, poisson:70% is poisson:140.
// The share by which a ramp rises is none of those.
func rates(pace string, base float64) string {
	kind, rest, found := strings.Cut(pace, ":")
	if !found {
		return pace
	}
	parts := strings.Split(rest, ",")
	for i, p := range parts {
		key, value, named := strings.Cut(p, "=")
		if !named {
			key, value = "", p
		}
		share, ok := strings.CutSuffix(value, "%")
		f, err := strconv.ParseFloat(share, 64)
		if !ok || err != nil || key == "step" {
			continue
		}
		parts[i] = strconv.FormatFloat(max(0.1, f*base/100), 'f', 1, 64)
		if named {
			parts[i] = key + "=" + parts[i]
		}
	}
	return kind + ":" + strings.Join(parts, ",")
}

func withoutStep(pace string) string {
	parts := strings.FieldsFunc(pace, func(r rune) bool { return r == ',' || r == ':' })
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return strings.HasPrefix(p, "step=") }), ",")
}

// ParseSources reads addresses with commas between them; A-B is a range.
func ParseSources(text string) ([]netip.Addr, error) {
	var all []netip.Addr
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		from, to, ranged := strings.Cut(part, "-")
		first, err := netip.ParseAddr(from)
		last := first
		if err == nil && ranged {
			last, err = netip.ParseAddr(to)
		}
		if err != nil {
			return nil, err
		}
		for a := first; ; a = a.Next() {
			if all = append(all, a); a == last {
				break
			}
			if len(all) > 10_000 || !a.IsValid() {
				return nil, fmt.Errorf("%q has no end, or more than 10000 addresses", part)
			}
		}
	}
	return all, nil
}

// parseBytes reads 300M, 64k or a plain number.
func parseBytes(text string) (int64, error) {
	factor := int64(1)
	digits := text
	if n := len(text); n > 0 {
		if at := strings.IndexByte("kMG", text[n-1]); at >= 0 {
			factor, digits = 1<<(10*(at+1)), text[:n-1]
		}
	}
	v, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || v < 1 {
		return 0, fmt.Errorf("%q is no size such as 64M", text)
	}
	return v * factor, nil
}

// parseFail reads "servfail 10%".
func parseFail(text string) (kind string, percent float64, err error) {
	kind, share, ok := strings.Cut(text, " ")
	if ok {
		percent, err = strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(share), "%"), 64)
	}
	if !ok || err != nil || percent <= 0 || percent > 100 {
		return "", 0, fmt.Errorf("%q is not KIND SHARE%%", text)
	}
	return kind, percent, nil
}

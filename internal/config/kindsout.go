package config

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postrider/internal/mail"

	"github.com/pelletier/go-toml/v2/unstable"
)

// rate is a number of events in a time, kept as events a second.
func rate[T any](of func(*T) *float64) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.String, `write it with a unit, such as "10/s"`) {
			return
		}
		v, err := ParseRate(n.text)
		if err != nil {
			d.r.add(n.place(), err.Error(), "")
			return
		}
		*of(t) = v
	}
}

// maxRate is more a second than one machine does.
const maxRate = 1e6

// ParseRate reads "NUMBER/s", or per m, h or d, and returns it a second. An empty
// text is 0, no bound.
func ParseRate(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	number, unit, ok := strings.Cut(s, "/")
	per := durationUnit(unit)
	v, err := strconv.ParseFloat(number, 64)
	plain := strings.Trim(number, "0123456789.") == ""
	if !ok || err != nil || !plain || per < time.Second || unit == "w" {
		return 0, fmt.Errorf("%q is not a rate (want a number with /s, /m, /h or /d, such as \"10/s\")", s)
	}
	v /= per.Seconds()
	if v <= 0 || v > maxRate {
		return 0, fmt.Errorf("%q is out of range (allowed: above 0, at most %d/s)", s, int(maxRate))
	}
	return v, nil
}

// addr is one address of a family.
func addr[T any](of func(*T) *netip.Addr, family func(netip.Addr) bool, what string) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.String, "") {
			return
		}
		if n.text == "" {
			*of(t) = netip.Addr{}
			return
		}
		a, err := parseAddr(n.text)
		if err == nil && (!family(a) || a.IsUnspecified() || a.IsMulticast()) {
			err = fmt.Errorf("%q is not %s to send from", n.text, what)
		}
		if err != nil {
			d.r.add(n.place(), err.Error(), "")
			return
		}
		*of(t) = a
	}
}

// network is one network; an empty text is none.
func network[T any](of func(*T) *netip.Prefix) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.String, "") {
			return
		}
		if n.text == "" {
			*of(t) = netip.Prefix{}
			return
		}
		p, err := parsePrefix(n.text)
		if err != nil {
			d.r.add(n.place(), err.Error(), "")
			return
		}
		*of(t) = p
	}
}

// levelWords are those of mail.TLSLevel.
func levelWords() []string { return []string{"none", "may", "encrypt", "verify", "fingerprint"} }

func level[T any](of func(*T) *mail.TLSLevel) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		var word string
		oneOf(func(s *string) *string { return s }, levelWords()...)(d, &word, n)
		if l, ok := parseLevel(word); ok {
			*of(t) = l
		}
	}
}

// parseLevel is the reverse of mail.TLSLevel.String.
func parseLevel(word string) (mail.TLSLevel, bool) {
	for l := mail.TLSMay; l <= mail.TLSFingerprint; l++ {
		if l.String() == word {
			return l, true
		}
	}
	return mail.TLSMay, false
}

// parseAddr reads one address, without a zone.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return a, fmt.Errorf("%q is not an address", s)
	case a.Zone() != "":
		return a, fmt.Errorf("%q: a zone is not allowed here", s)
	case a.Is4In6():
		return a, fmt.Errorf("%q: write the IPv4 address %s", s, a.Unmap())
	}
	return a, nil
}

// maxName bounds a name that the configuration gives to something.
const maxName = 64

// parseName reads the name of a source, a pool or a provider.
func parseName(s string) (string, error) {
	ok := len(s) > 0 && len(s) <= maxName
	for _, c := range []byte(s) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if !ok {
		return "", fmt.Errorf("%q is not a name (want 1 to %d letters, digits, -, _ or .)", s, maxName)
	}
	return s, nil
}

// parseSite reads the name of a destination: printable and without spaces.
func parseSite(s string) (string, error) {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%q is not the name of a destination", s)
	}
	return s, nil
}

// parseSender reads what a sender is matched with.
func parseSender(s string) (string, error) {
	low := strings.ToLower(s)
	if low == "" || low == "<>" {
		return low, nil
	}
	if strings.Contains(low, "@") && !strings.HasPrefix(low, "@") {
		return parseMailbox(low)
	}
	if err := checkDomain(strings.TrimPrefix(low, ".")); err != nil {
		return "", fmt.Errorf("%q is not a sender (want an address, a domain, \".suffix\" or \"<>\")", s)
	}
	return low, nil
}

// parseUser reads what a user is matched with.
func parseUser(s string) (string, error) {
	if domain, ok := strings.CutPrefix(s, "@"); ok {
		domain = strings.ToLower(domain)
		return "@" + domain, checkDomain(domain)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%q is not a user", s)
	}
	return s, nil
}

// parseCertName reads a name that a certificate may have.
func parseCertName(s string) (string, error) {
	low := strings.ToLower(s)
	if err := checkDomain(strings.TrimPrefix(low, ".")); err != nil {
		return "", fmt.Errorf("%q is not a host name or a \".suffix\"", s)
	}
	return low, nil
}

func parseDomainOrNone(s string) (string, error) {
	if s == "" {
		return s, nil
	}
	return parseDomain(s)
}

// parseFingerprint reads 32 bytes in hexadecimal, with or without colons.
func parseFingerprint(s string) (sum [32]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("%q is not a fingerprint (want the 64 hexadecimal digits of a SHA-256)", s)
	}
	copy(sum[:], b)
	return sum, nil
}

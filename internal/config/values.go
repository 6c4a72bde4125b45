package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postrider/internal/mail"
)

// maxDuration bounds every duration that a file may name: longer ones are
// mistakes, and sums of two stay far from overflow.
const maxDuration = 10 * 365 * 24 * time.Hour

// ParseDuration reads a whole or decimal number with one of the units ms, s, m,
// h, d and w, or several of them in a row, as in "1h30m". A day has 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration (want a number with ms, s, m, h, d or w, such as \"5m\")", text)
	rest := text
	if rest == "0" {
		return 0, nil
	}
	var total float64
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, bad
		}
		v, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, bad
		}
		rest = rest[n:]
		u := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
		if u < 0 {
			u = len(rest)
		}
		unit := durationUnit(rest[:u])
		if unit == 0 {
			return 0, bad
		}
		total += v * float64(unit)
		rest = rest[u:]
	}
	if text == "" {
		return 0, bad
	}
	if total > float64(maxDuration) {
		return 0, fmt.Errorf("%q is longer than ten years", text)
	}
	return time.Duration(total), nil
}

func durationUnit(name string) time.Duration {
	switch name {
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "m":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return 24 * time.Hour
	case "w":
		return 7 * 24 * time.Hour
	}
	return 0
}

// FormatDuration writes d as ParseDuration reads it, in the largest unit that
// leaves a whole number.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	for _, u := range []string{"d", "h", "m", "s", "ms"} {
		if unit := durationUnit(u); d%unit == 0 {
			return strconv.FormatInt(int64(d/unit), 10) + u
		}
	}
	return d.String()
}

// ParseSize reads a number of bytes: a whole or decimal number, alone or with a
// unit. KB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB of 1024.
func ParseSize(text string) (int64, error) {
	bad := fmt.Errorf("%q is not a size (want a number, alone or with KB, MB, GB, KiB, MiB or GiB, such as \"50MB\")", text)
	n := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if n < 0 {
		n = len(text)
	}
	unit := sizeUnit(text[n:])
	v, err := strconv.ParseFloat(text[:n], 64)
	if err != nil || unit == 0 || n == 0 {
		return 0, bad
	}
	v *= unit
	if v >= math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return int64(v), nil
}

func sizeUnit(name string) float64 {
	switch strings.ToLower(name) {
	case "", "b":
		return 1
	case "kb":
		return 1e3
	case "mb":
		return 1e6
	case "gb":
		return 1e9
	case "tb":
		return 1e12
	case "kib":
		return 1 << 10
	case "mib":
		return 1 << 20
	case "gib":
		return 1 << 30
	case "tib":
		return 1 << 40
	}
	return 0
}

// FormatSize writes n as ParseSize reads it, in the largest unit that leaves a
// whole number.
func FormatSize(n int64) string {
	for _, u := range []string{"TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "KB"} {
		if unit := int64(sizeUnit(u)); n >= unit && n%unit == 0 {
			return strconv.FormatInt(n/unit, 10) + u
		}
	}
	return strconv.FormatInt(n, 10)
}

// hopForms is the grammar of a next hop, for messages.
const hopForms = "mx, smtp:HOST:PORT, lmtp:HOST:PORT, lmtp:unix:PATH, local, hold, discard or reject"

// ParseHop reads a next hop. A relative socket path is left as it is.
func ParseHop(text string) (mail.Hop, error) {
	switch text {
	case "mx":
		return mail.Hop{Kind: mail.HopMX}, nil
	case "local":
		return mail.Hop{Kind: mail.HopLocal}, nil
	case "hold":
		return mail.Hop{Kind: mail.HopHold}, nil
	case "discard":
		return mail.Hop{Kind: mail.HopDiscard}, nil
	case "reject":
		return mail.Hop{Kind: mail.HopReject}, nil
	}
	scheme, rest, ok := strings.Cut(text, ":")
	hop := mail.Hop{Network: "tcp"}
	switch {
	case ok && scheme == "smtp":
		hop.Kind = mail.HopSMTP
	case ok && scheme == "lmtp":
		hop.Kind = mail.HopLMTP
	default:
		return mail.Hop{}, fmt.Errorf("%q is not a next hop (want %s)", text, hopForms)
	}
	if path, unix := strings.CutPrefix(rest, "unix:"); unix {
		if hop.Kind != mail.HopLMTP {
			return mail.Hop{}, fmt.Errorf("%q: a socket path is for lmtp only", text)
		}
		if err := checkSocketPath(path); err != nil {
			return mail.Hop{}, fmt.Errorf("%q: %w", text, err)
		}
		hop.Network, hop.Address = "unix", path
		return hop, nil
	}
	addr, err := parseHostPort(rest, 1)
	if err != nil {
		return mail.Hop{}, fmt.Errorf("%q: %w", text, err)
	}
	hop.Address = addr
	return hop, nil
}

// parseHostPort checks HOST:PORT, with [IPv6]:PORT for IPv6, and returns it
// with the host in lower case. The least port is 1, or 0 for an address to
// listen on, where it means any that is free.
func parseHostPort(text string, leastPort uint64) (string, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", errors.New("no port (want HOST:PORT)")
	}
	host, port := text[:i], text[i+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < leastPort || len(port) > 1 && port[0] == '0' {
		return "", fmt.Errorf("%q is not a port (want %d to 65535)", port, leastPort)
	}
	if in, ok := strings.CutPrefix(host, "["); ok {
		in, closed := strings.CutSuffix(in, "]")
		a, err := netip.ParseAddr(in)
		if !closed || err != nil || !a.Is6() {
			return "", fmt.Errorf("%q is not an IPv6 address", host)
		}
		return strings.ToLower(text), nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		if strings.Contains(host, ":") {
			return "", fmt.Errorf("an IPv6 address needs brackets: [%s]:%s", host, port)
		}
		return text, nil
	}
	if err := checkDomain(strings.ToLower(host)); err != nil {
		return "", err
	}
	return strings.ToLower(text), nil
}

// maxSocketPath is what the kernel takes: sun_path holds 108 bytes with its final
// zero.
const maxSocketPath = 107

// checkSocketPath refuses what the kernel would.
func checkSocketPath(path string) error {
	switch {
	case path == "":
		return errors.New("an empty socket path")
	case len(path) > maxSocketPath:
		return fmt.Errorf("a socket path has at most %d bytes", maxSocketPath)
	case strings.ContainsRune(path, 0):
		return errors.New("a NUL in a socket path")
	}
	return nil
}

// checkDomain accepts a host or domain name in lower case: labels of letters,
// digits, "-" and "_" (RFC 5321 section 4.1.2, widened by what exists), or of
// UTF-8 (RFC 6531); at most 255 bytes, 63 a label (RFC 1035 section 2.3.4).
func checkDomain(name string) error {
	if name == "" || len(name) > 255 {
		return fmt.Errorf("%q is not a domain", name)
	}
	if strings.HasSuffix(name, ".") {
		return fmt.Errorf("%q must not end with a dot", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not a domain", name)
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c >= 0x80) {
				return fmt.Errorf("%q is not a domain", name)
			}
		}
	}
	return nil
}

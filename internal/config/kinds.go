package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/mail"

	"github.com/pelletier/go-toml/v2/unstable"
)

// The functions here make the setters that schema uses: each checks one type.

// text is any string that check accepts; check may be nil and may return the
// value in a canonical form.
func text[T any](of func(*T) *string, check func(string) (string, error)) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.String, "") {
			return
		}
		s := n.text
		if check != nil {
			var err error
			if s, err = check(n.text); err != nil {
				d.r.add(n.place(), err.Error(), "")
				return
			}
		}
		*of(t) = s
	}
}

// oneOf is one of a few words.
func oneOf[T any, S ~string](of func(*T) *S, words ...S) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		list := make([]string, len(words))
		for i, w := range words {
			list[i] = string(w)
		}
		if !d.want(n, unstable.String, "allowed: "+strings.Join(list, ", ")) {
			return
		}
		if !slices.Contains(words, S(n.text)) {
			hint := "allowed: " + strings.Join(list, ", ")
			if near := nearest(n.text, list); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			d.r.add(n.place(), fmt.Sprintf("%q is not allowed here", n.text), hint)
			return
		}
		*of(t) = S(n.text)
	}
}

// number is a whole number of a range.
func number[T any, N int | int64](of func(*T) *N, least, most int64) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.Integer, "") {
			return
		}
		v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
		if err != nil || v < least || v > most {
			d.r.add(n.place(), fmt.Sprintf("%s is out of range", n.text), allowedRange(least, most))
			return
		}
		*of(t) = N(v)
	}
}

func allowedRange(least, most int64) string {
	if least == most {
		return fmt.Sprintf("allowed: %d", least)
	}
	return fmt.Sprintf("allowed: %d to %d", least, most)
}

// boolean is true or false.
func boolean[T any](of func(*T) *bool) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if d.want(n, unstable.Bool, "") {
			*of(t) = n.text == "true"
		}
	}
}

// duration is a length of time within a range.
func duration[T any](of func(*T) *time.Duration, least, most time.Duration) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if none := n.kind == unstable.Integer && n.text == "0" && least <= 0; none {
			*of(t) = 0
			return
		}
		if !d.want(n, unstable.String, `write it with a unit, such as "5m"`) {
			return
		}
		v, err := ParseDuration(n.text)
		if err == nil && (v < least || v > most) {
			err = fmt.Errorf("%q is out of range", n.text)
		}
		if err != nil {
			d.r.add(n.place(), err.Error(), fmt.Sprintf("allowed: %s to %s", FormatDuration(least), FormatDuration(most)))
			return
		}
		*of(t) = v
	}
}

// size is a number of bytes within a range, as a string with a unit or as a
// plain number.
func size[T any](of func(*T) *int64, least, most int64) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if n.kind != unstable.Integer && !d.want(n, unstable.String, `write it with a unit, such as "50MB"`) {
			return
		}
		v, err := ParseSize(strings.ReplaceAll(n.text, "_", ""))
		if err == nil && (v < least || v > most) {
			err = fmt.Errorf("%q is out of range", n.text)
		}
		if err != nil {
			d.r.add(n.place(), err.Error(), fmt.Sprintf("allowed: %s to %s", FormatSize(least), FormatSize(most)))
			return
		}
		*of(t) = v
	}
}

// list is a list of strings, each of which parse turns into an E. All that are
// wrong are reported.
func list[T, E any](of func(*T) *[]E, parse func(string) (E, error)) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.Array, `write it in brackets, such as ["a", "b"]`) {
			return
		}
		out := make([]E, 0, len(n.elems))
		for _, e := range n.elems {
			if !d.want(e, unstable.String, "") {
				continue
			}
			v, err := parse(e.text)
			if err != nil {
				d.r.add(e.place(), err.Error(), "")
				continue
			}
			out = append(out, v)
		}
		*of(t) = out
	}
}

// path is a file's name; a relative one starts from the configuration's folder.
func path[T any](of func(*T) *string) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.String, "") {
			return
		}
		if strings.ContainsRune(n.text, 0) {
			d.r.add(n.place(), "a NUL in a file name", "")
			return
		}
		*of(t) = resolve(d.base, n.text)
	}
}

func resolve(base, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(base, name)
}

// parsePrefix reads a network. Host bits that are set are refused: the writer
// meant either one address or the whole network, and we do not guess.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q: a zone is not allowed in a network", s)
		}
		if a.Is4In6() {
			return netip.Prefix{}, fmt.Errorf("%q: write the IPv4 address %s", s, a.Unmap())
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network (want an address or ADDRESS/BITS)", s)
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("%q: write it as an IPv4 network", s)
	}
	if m := p.Masked(); m != p {
		return p, fmt.Errorf("%q has bits set beyond its /%d (did you mean %s?)", s, p.Bits(), m)
	}
	return p, nil
}

// parseDomain reads a domain and returns it in lower case.
func parseDomain(s string) (string, error) {
	low := strings.ToLower(s)
	if low == "*" || strings.HasPrefix(low, ".") {
		return "", fmt.Errorf("%q: a pattern is not allowed here, only whole domains", s)
	}
	return low, checkDomain(low)
}

// parseRouteDomain reads "*", ".suffix" or a domain.
func parseRouteDomain(s string) (string, error) {
	low := strings.ToLower(s)
	if low == "*" {
		return low, nil
	}
	if err := checkDomain(strings.TrimPrefix(low, ".")); err != nil {
		return "", fmt.Errorf("%q is not a route's domain (want a domain, \".suffix\" or \"*\")", s)
	}
	return low, nil
}

// parseServer reads a resolver's address; without a port it is 53.
func parseServer(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 53).String(), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return "", fmt.Errorf("%q is not a resolver (want ADDRESS:PORT)", s)
	}
	return ap.String(), nil
}

// hopText lets a setter fill a mail.Hop.
type hopText mail.Hop

func hop[T any](of func(*T) *hopText) func(*decoder, *T, *node) {
	return func(d *decoder, t *T, n *node) {
		if !d.want(n, unstable.String, "want "+hopForms) {
			return
		}
		h, err := ParseHop(n.text)
		if err != nil {
			words := []string{"mx", "local", "hold", "discard", "reject"}
			hint := ""
			scheme, _, ok := strings.Cut(n.text, ":")
			if ok {
				words = []string{"smtp", "lmtp"}
			}
			if near := nearest(scheme, words); near != "" && near != scheme {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			d.r.add(n.place(), err.Error(), hint)
			return
		}
		*of(t) = hopText(h)
	}
}

// parseListen checks HOST:PORT, :PORT or unix:PATH.
func parseListen(s string) (string, error) {
	if p, ok := strings.CutPrefix(s, "unix:"); ok {
		return s, checkSocketPath(p)
	}
	host := s
	if strings.HasPrefix(s, ":") {
		host = "0.0.0.0" + s
	}
	if _, err := parseHostPort(host, 0); err != nil {
		return "", fmt.Errorf("%q is not an address to listen on (want HOST:PORT or unix:PATH): %w", s, err)
	}
	return s, nil
}

// parseListenHTTP is parseListen without sockets; empty means none.
func parseListenHTTP(s string) (string, error) {
	if s == "" || strings.HasPrefix(s, "unix:") {
		if s != "" {
			return "", fmt.Errorf("%q: want HOST:PORT; the socket is admin.socket", s)
		}
		return s, nil
	}
	return parseListen(s)
}

// parseMailbox checks the shape of an address roughly: the session that uses it
// parses it by RFC 5321.
func parseMailbox(s string) (string, error) {
	if s == "" {
		return s, nil
	}
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || strings.ContainsAny(s, " \t\r\n<>\x00") || checkDomain(strings.ToLower(s[i+1:])) != nil {
		return "", fmt.Errorf("%q is not an address", s)
	}
	return s, nil
}

// parseFileName refuses what no file can be called.
func parseFileName(s string) (string, error) {
	if strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("a NUL in a file name")
	}
	return s, nil
}

package classify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postrider/internal/mail"
)

// Verify classifies the examples of every rule and reports those that another
// rule takes, or none. The error joins a *RuleError for each.
func (t *Table) Verify() error {
	var errs []error
	for i := range t.rules {
		r := &t.rules[i]
		for _, example := range r.examples {
			s, err := ParseReply(example)
			if err == nil {
				if v := t.Classify(s, r.provider, false); v.Rule != r.name {
					err = fmt.Errorf("the example %q is taken by %s", example, taker(v))
				}
			}
			if err != nil {
				errs = append(errs, &RuleError{i, r.name, err})
			}
		}
	}
	return errors.Join(errs...)
}

func taker(v Verdict) string {
	if v.Rule == "" {
		return "no rule (by its codes it is " + strconv.Quote(v.Class.String()) + ")"
	}
	return "rule " + strconv.Quote(v.Rule)
}

// ParseReply reads one line of a reply, "550 5.1.1 text", as a log or a bounce
// shows it. A missing enhanced code becomes the class of the code with 0.0, as
// for a reply that came from a peer.
func ParseReply(line string) (mail.Status, error) {
	code, rest, _ := strings.Cut(line, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || n < 200 || n > 599 {
		return mail.Status{}, fmt.Errorf("%q does not begin with a basic code", line)
	}
	s := mail.Status{Code: uint16(n), Enhanced: mail.Enhanced{Class: code[0] - '0'}}
	word, text, _ := strings.Cut(rest, " ")
	if e, ok := parseEnhanced(word); ok && e.Class == s.Enhanced.Class {
		s.Enhanced, rest = e, text
	}
	s.Text = []byte(rest)
	return s, nil
}

func parseEnhanced(word string) (mail.Enhanced, bool) {
	parts := strings.Split(word, ".")
	if len(parts) != 3 {
		return mail.Enhanced{}, false
	}
	var n [3]uint16
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || v > 999 {
			return mail.Enhanced{}, false
		}
		n[i] = uint16(v)
	}
	return mail.Enhanced{Class: uint8(min(n[0], 9)), Subject: n[1], Detail: n[2]}, n[0] <= 5
}

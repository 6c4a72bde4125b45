package userfile

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
)

// header is the first line.
const header = "# postrider users 1"

// lineError is what is wrong with a line, and the octet where.
type lineError struct {
	at  int
	err error
}

func (e *lineError) Error() string { return e.err.Error() }

func wrong(at int, format string, a ...any) error { return &lineError{at, fmt.Errorf(format, a...)} }

// parseLine reads the line of one user. The entry shares memory with the line.
func parseLine(line string) (*auth.Entry, error) {
	e := new(auth.Entry)
	var seen fields
	for at, first := 0, true; ; first = false {
		for at < len(line) && (line[at] == ' ' || line[at] == '\t') {
			at++
		}
		if at == len(line) {
			break
		}
		end := at
		for end < len(line) && line[end] != ' ' && line[end] != '\t' {
			end++
		}
		word := line[at:end]
		if first {
			name, err := unescape(word)
			if err != nil || auth.Canonical(name) != name || !strings.Contains(name, "@") {
				return nil, wrong(at, "the line does not begin with an address in lower case")
			}
			e.Name = name
		} else {
			key, value, has := strings.Cut(word, "=")
			if !seen.add(key) {
				return nil, wrong(at, "%.20q stands twice", key)
			}
			if err := setField(e, key, value, has); err != nil {
				return nil, wrong(at, "%w", err)
			}
		}
		at = end
	}
	for i := range e.AppPasswords {
		if e.AppPasswords[i].Scram != nil && e.Scram == nil {
			return nil, wrong(0, "an app password has SCRAM keys, but the user has none to share their salt")
		}
	}
	return e, nil
}

// fields are the ones of a line that were seen.
type fields uint8

// add reports whether key may stand here.
func (f *fields) add(key string) bool {
	for i, name := range [...]string{"password", "scram", "send-as", "quota", "quota-messages", "disabled"} {
		if name == key {
			had := *f&(1<<i) != 0
			*f |= 1 << i
			return !had
		}
	}
	return true // app= may come again, and what is unknown is told later
}

func setField(e *auth.Entry, key, value string, has bool) (err error) {
	if has != (key != "disabled") {
		return fmt.Errorf("%.20q is not a field, or its value is missing", key)
	}
	switch key {
	case "disabled":
		e.Disabled = true
	case "password":
		if e.Hash, err = unescape(value); err != nil {
			return err
		}
		return password.Check(e.Hash)
	case "scram":
		e.Scram, err = password.ParseScram(value)
	case "app":
		var p auth.AppPassword
		if p, err = parseApp(value); err == nil {
			e.AppPasswords = append(e.AppPasswords, p)
		}
	case "send-as":
		e.Senders, err = parseSenders(value)
	case "quota":
		e.QuotaBytes, err = ParseSize(value)
	case "quota-messages":
		e.QuotaMessages, err = strconv.ParseInt(value, 10, 64)
	default:
		return fmt.Errorf("unknown field %.20q", key)
	}
	return err
}

var errApp = errors.New("an app password is NAME;SCOPES;DIGEST or NAME;SCOPES;DIGEST;STORED;SERVER")

func parseApp(value string) (p auth.AppPassword, err error) {
	part := strings.Split(value, ";")
	if len(part) != 3 && len(part) != 5 {
		return p, errApp
	}
	if p.Name, err = unescape(part[0]); err != nil || p.Name == "" {
		return p, errApp
	}
	if part[1] != "*" {
		p.Scopes = strings.Split(part[1], ",")
		for _, s := range p.Scopes {
			if !ValidScope(s) {
				return p, fmt.Errorf("%.20q is no protocol: smtp, pop3 and imap are", s)
			}
		}
	}
	keys := [3][]byte{}
	for i, text := range part[2:] {
		if keys[i], err = base64.RawStdEncoding.DecodeString(text); err != nil || len(keys[i]) != 32 {
			return p, errApp
		}
	}
	p.Digest = [32]byte(keys[0])
	if len(part) == 5 {
		p.Scram = &password.Scram{StoredKey: keys[1], ServerKey: keys[2]}
	}
	return p, nil
}

// ValidScope reports a protocol that an app password can be bound to.
func ValidScope(s string) bool { return s == "smtp" || s == "pop3" || s == "imap" }

func parseSenders(value string) (list []string, err error) {
	for s := range strings.SplitSeq(value, ",") {
		s, err := unescape(s)
		if err != nil || !ValidSender(s) {
			return nil, fmt.Errorf("%.64q is neither an address in lower case nor \"@domain\"", s)
		}
		list = append(list, s)
	}
	return list, nil
}

// ValidSender reports a canonical address, or "@" and a domain.
func ValidSender(s string) bool {
	if strings.HasPrefix(s, "@") {
		return auth.Canonical("x"+s) == "x"+s
	}
	return strings.Contains(s, "@") && auth.Canonical(s) == s
}

// appendLine appends the line of a user, without the end of line.
func appendLine(dst []byte, e *auth.Entry) []byte {
	b64 := base64.RawStdEncoding.AppendEncode
	dst = appendEscaped(dst, e.Name, "#")
	if e.Hash != "" {
		dst = appendEscaped(append(dst, " password="...), e.Hash, "")
	}
	if e.Scram != nil {
		dst = append(append(dst, " scram="...), e.Scram.String()...)
	}
	for i := range e.AppPasswords {
		p := &e.AppPasswords[i]
		dst = append(appendEscaped(append(dst, " app="...), p.Name, ";"), ';')
		if len(p.Scopes) == 0 {
			dst = append(dst, '*')
		}
		dst = append(append(dst, strings.Join(p.Scopes, ",")...), ';')
		dst = b64(dst, p.Digest[:])
		if p.Scram != nil {
			dst = b64(append(b64(append(dst, ';'), p.Scram.StoredKey), ';'), p.Scram.ServerKey)
		}
	}
	for i, s := range e.Senders {
		lead := " send-as="
		if i > 0 {
			lead = ","
		}
		dst = appendEscaped(append(dst, lead...), s, ",")
	}
	if e.QuotaBytes != 0 {
		dst = AppendSize(append(dst, " quota="...), e.QuotaBytes)
	}
	if e.QuotaMessages != 0 {
		dst = strconv.AppendInt(append(dst, " quota-messages="...), e.QuotaMessages, 10)
	}
	if e.Disabled {
		dst = append(dst, " disabled"...)
	}
	return dst
}

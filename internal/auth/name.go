package auth

import (
	"strings"

	"postrider/internal/mail"
)

// Canonical returns the form in which names of users are compared and kept: an
// address in lower case, both sides of it. It is "" for what is no address. A bare
// name stays bare.
func Canonical(name string) string {
	if len(name) > mail.MaxAddressLen {
		return ""
	}
	if isUsual(name) {
		return name
	}
	if !strings.Contains(name, "@") {
		if name == "" || !isBare(name) {
			return ""
		}
		return strings.ToLower(name)
	}
	a, err := mail.ParseAddress([]byte(name), true)
	if err != nil {
		return ""
	}
	return strings.ToLower(a.String())
}

// isUsual reports an address that is canonical at the first look, as nearly all are.
func isUsual(name string) bool {
	at, label := -1, 0 // where "@" stands, where the dot-separated part began
	numeric := false
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' || name[i] == '@' {
			if i == label || i-label > 63 || name[i-1] == '-' || name[label] == '-' {
				return false
			}
			if i < len(name) && name[i] == '@' {
				if at >= 0 {
					return false
				}
				at = i
			}
			if i < len(name) {
				label, numeric = i+1, true
			}
			continue
		}
		switch c := name[i]; {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'z', c == '-', c == '_':
			numeric = false
		case c == '+' && at < 0:
		default:
			return false
		}
	}
	return at > 0 && len(name)-at-1 <= 253 && !numeric
}

// isBare reports a name that can be a local part.
func isBare(name string) bool {
	_, err := mail.ParseAddress([]byte(name+"@bare.invalid"), true)
	return err == nil
}

// resolve makes a full name of what a client sent: a bare name belongs to the first
// local domain.
func (a *Authenticator) resolve(name string) string {
	name = Canonical(name)
	if domain := a.domain.Load(); name != "" && domain != nil && *domain != "" && !strings.Contains(name, "@") {
		name = Canonical(name + "@" + *domain)
	}
	return name
}

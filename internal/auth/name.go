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

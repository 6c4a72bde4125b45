package userfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
)

// Import tells how to read another program's users.
type Import struct {
	// Format is "passwd" (and shadow), "dovecot" (its passwd-file) or "htpasswd".
	Format string
	// Domain is added to bare names.
	Domain string
	// Plain takes passwords that anyone could read. They are hashed; the file never
	// holds one.
	Plain bool
}

// Formats are those of Import.
func Formats() []string { return []string{"passwd", "dovecot", "htpasswd"} }

// ErrNoPassword is what Read says of a line that has none, as those of a system's own
// accounts.
var ErrNoPassword = errors.New("there is no password in this line")

var errPlain = errors.New("the password stands there in clear, which is not taken unless asked for")

// maxImportLine bounds a line.
const maxImportLine = 64 << 10

// Read calls each for every user in r, or with what is wrong with a line. It
// returns an error of r.
func (i *Import) Read(r io.Reader, each func(line int, e *auth.Entry, err error) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxImportLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		e, err := i.user(line)
		if err := each(number, e, err); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (i *Import) user(line string) (*auth.Entry, error) {
	field := strings.SplitN(line, ":", 8)
	if len(field) < 2 {
		return nil, errors.New("no \":\" behind the name")
	}
	name := field[0]
	if !strings.Contains(name, "@") && i.Domain != "" {
		name += "@" + i.Domain
	}
	e := &auth.Entry{Name: auth.Canonical(name)}
	if !strings.Contains(e.Name, "@") {
		return nil, fmt.Errorf("%.64q is no address, and there is no domain to add", field[0])
	}
	if err := i.secret(e, field[1]); err != nil {
		return nil, err
	}
	if i.Format == "dovecot" && len(field) > 7 {
		if err := dovecotExtra(e, field[7]); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// secret sets the password from its stored form.
func (i *Import) secret(e *auth.Entry, stored string) error {
	if i.Format == "passwd" { // shadow(5): "!" before a hash locks it
		stored, e.Disabled = strings.CutPrefix(stored, "!")
	}
	switch stored {
	case "", "x", "*", "!", "!!":
		return ErrNoPassword
	}
	if i.Format == "dovecot" && stored[0] != '{' && stored[0] != '$' {
		return errors.New("a form without a scheme that is not of crypt(3) with \"$\"")
	}
	if err := password.Check(stored); err != nil {
		return err
	}
	if password.IsPlain(stored) {
		if !i.Plain {
			return errPlain
		}
		_, plain, _ := strings.Cut(stored, "}")
		return SetPassword(e, []byte(plain), true)
	}
	if keys, ok := cutFold(stored, "{SCRAM-SHA-256}"); ok {
		s, err := password.ParseScram(keys)
		if err != nil {
			return err
		}
		e.Scram = s
	}
	e.Hash = stored
	return nil
}

func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// dovecotExtra reads what we have a place for: the quota, and nologin.
func dovecotExtra(e *auth.Entry, extra string) (err error) {
	for field := range strings.FieldsSeq(extra) {
		key, value, _ := strings.Cut(field, "=")
		switch strings.TrimPrefix(key, "userdb_") {
		case "nologin", "deny":
			e.Disabled = true
		case "quota_storage_size":
			e.QuotaBytes, err = dovecotSize(value)
		case "quota_rule":
			if rule, ok := strings.CutPrefix(value, "*:storage="); ok {
				e.QuotaBytes, err = dovecotSize(rule)
			} else if rule, ok := strings.CutPrefix(value, "*:bytes="); ok {
				e.QuotaBytes, err = dovecotSize(rule)
			}
		}
		if err != nil {
			return fmt.Errorf("%.20q: %w", key, err)
		}
	}
	return nil
}

// dovecotSize reads "1G", in powers of 1,024.
func dovecotSize(s string) (int64, error) {
	s = strings.ToUpper(strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s), "B"), "I"))
	if s != "" && strings.ContainsRune("KMGT", rune(s[len(s)-1])) {
		s += "iB"
	}
	return ParseSize(s)
}

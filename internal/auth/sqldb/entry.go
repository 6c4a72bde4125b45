package sqldb

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
	"postrider/internal/auth/password"
)

// entry makes one of a row.
func entry(name string, columns []string, row []any) (*auth.Entry, error) {
	e := &auth.Entry{Name: name}
	seen := make(map[string]bool, len(columns))
	for i, column := range columns {
		err := errors.New("there are two columns of this name")
		if !seen[column] {
			err = set(e, column, row[i])
		}
		if err != nil {
			return nil, &guard.DataError{Name: name, Field: column, Cause: err}
		}
		seen[column] = true
	}
	return e, nil
}

// set takes a column into an entry; NULL leaves it as it is.
func set(e *auth.Entry, column string, value any) (err error) {
	var s string
	switch column {
	case "hash":
		e.Hash, err = text(value)
	case "name":
		if s, err = text(value); err == nil && s != "" {
			if e.Name = auth.Canonical(s); e.Name == "" {
				return errors.New("not an address")
			}
		}
	case "senders":
		var list []string
		if list, err = texts(value); err != nil {
			return err
		}
		for _, s := range list {
			sender, ok := canonicalSender(s)
			if !ok {
				return fmt.Errorf("%q is neither an address nor @domain", s)
			}
			e.Senders = append(e.Senders, sender)
		}
	case "quota":
		e.QuotaBytes, err = integer(value)
	case "quota_messages":
		e.QuotaMessages, err = integer(value)
	case "disabled":
		e.Disabled, err = boolean(value)
	case "scram":
		if s, err = text(value); err == nil && s != "" {
			e.Scram, err = password.ParseScram(s)
		}
	case "app_passwords":
		e.AppPasswords, err = appPasswords(value)
	default:
		return errors.New("no such column is known; name it with AS, or leave it out")
	}
	return err
}

// canonicalSender is the form in which senders are compared.
func canonicalSender(s string) (string, bool) {
	if strings.HasPrefix(s, "@") {
		a := auth.Canonical("x" + s)
		return strings.TrimPrefix(a, "x"), a != ""
	}
	a := auth.Canonical(s)
	return a, strings.Contains(a, "@")
}

func text(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	}
	return "", fmt.Errorf("text is wanted, not %T", value)
}

// texts reads an array of texts, or a text with several words.
func texts(value any) ([]string, error) {
	array, ok := value.([]any)
	if !ok {
		s, err := text(value)
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r <= ' ' }), err
	}
	var list []string
	for _, one := range array {
		s, err := text(one)
		if err != nil {
			return nil, err
		}
		if s != "" {
			list = append(list, s)
		}
	}
	return list, nil
}

func integer(value any) (int64, error) {
	switch v := value.(type) {
	case nil:
		return 0, nil
	case int64:
		return v, nil
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case pgtype.Numeric: // as sum() makes it
		i, err := v.Int64Value()
		return i.Int64, err
	case float64: // so that an expression with a fraction does not surprise
		if v != math.Trunc(v) || math.Abs(v) >= 1<<53 {
			return 0, fmt.Errorf("%v is no whole number", v)
		}
		return int64(v), nil
	}
	return 0, fmt.Errorf("a whole number is wanted, not %T", value)
}

func boolean(value any) (bool, error) {
	switch v := value.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	}
	return false, fmt.Errorf("a boolean is wanted, not %T", value)
}

// appPasswords reads "NAME;SCOPES;DIGEST" of each, as the users file has them.
func appPasswords(value any) ([]auth.AppPassword, error) {
	array, ok := value.([]any)
	if !ok && value != nil {
		return nil, fmt.Errorf("an array of texts is wanted, not %T", value)
	}
	var list []auth.AppPassword
	for i, one := range array {
		s, err := text(one)
		if err != nil {
			return nil, err
		}
		part := strings.Split(s, ";")
		if len(part) != 3 || part[0] == "" {
			return nil, fmt.Errorf("number %d is not NAME;SCOPES;DIGEST", i+1)
		}
		p := auth.AppPassword{Name: part[0]}
		digest, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(part[2], "="))
		if err != nil || len(digest) != len(p.Digest) {
			return nil, fmt.Errorf("the digest of %q is not one of 32 octets in base64", p.Name)
		}
		p.Digest = [32]byte(digest)
		if part[1] != "*" {
			p.Scopes = strings.Split(part[1], ",")
		}
		for _, scope := range p.Scopes {
			if scope != "smtp" && scope != "pop3" && scope != "imap" {
				return nil, fmt.Errorf("%q of %q is no protocol", scope, p.Name)
			}
		}
		list = append(list, p)
	}
	return list, nil
}

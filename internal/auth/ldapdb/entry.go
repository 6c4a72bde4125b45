package ldapdb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
)

// list returns what is asked for; "1.1" is nothing (RFC 4511 section 4.5.1.8).
func (a *Attributes) list() []string {
	var list []string
	for _, name := range []string{a.Name, a.Senders, a.QuotaBytes, a.QuotaMessages, a.Disabled} {
		if name != "" {
			list = append(list, name)
		}
	}
	if list == nil {
		return []string{"1.1"}
	}
	return list
}

// entry makes one of what was found.
func (db *DB) entry(name string, found *ldap.Entry) (*auth.Entry, error) {
	a := &db.o.Attributes
	e := &auth.Entry{Name: name}
	for _, one := range []struct {
		attribute string
		take      func(values []string) error
	}{
		{a.Name, func(v []string) error {
			if len(v) > 1 {
				return errors.New("there are several values")
			}
			if e.Name = auth.Canonical(v[0]); e.Name == "" {
				return fmt.Errorf("%q is not an address", v[0])
			}
			return nil
		}},
		{a.Senders, func(v []string) (err error) { e.Senders, err = senders(v); return err }},
		{a.QuotaBytes, func(v []string) (err error) { e.QuotaBytes, err = number(v); return err }},
		{a.QuotaMessages, func(v []string) (err error) { e.QuotaMessages, err = number(v); return err }},
		{a.Disabled, func(v []string) error {
			e.Disabled = strings.EqualFold(v[0], "TRUE") || v[0] == "1" || strings.EqualFold(v[0], "yes")
			return nil
		}},
	} {
		if one.attribute == "" {
			continue
		}
		values := found.GetEqualFoldAttributeValues(one.attribute)
		if len(values) == 0 {
			continue
		}
		if err := one.take(values); err != nil {
			return nil, &guard.DataError{Name: name, Field: one.attribute, Cause: err}
		}
	}
	return e, nil
}

func senders(values []string) (list []string, err error) {
	for _, v := range values {
		if scheme, rest, has := strings.Cut(v, ":"); has && !strings.Contains(scheme, "@") {
			if !strings.EqualFold(scheme, "smtp") {
				continue // an address of another kind, as in proxyAddresses
			}
			v = rest
		}
		sender := auth.Canonical(v)
		if strings.HasPrefix(v, "@") {
			sender = strings.TrimPrefix(auth.Canonical("x"+v), "x")
		}
		if !strings.Contains(sender, "@") {
			return nil, fmt.Errorf("%q is neither an address nor @domain", v)
		}
		list = append(list, sender)
	}
	return list, nil
}

func number(values []string) (int64, error) {
	if len(values) > 1 {
		return 0, errors.New("there are several values")
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return 0, errors.New("not a whole number")
	}
	return n, nil
}

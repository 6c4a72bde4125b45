package ldapdb

import (
	"crypto/tls"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/goleak"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	annDN     = "uid=ann,ou=people,dc=example,dc=org"
	serviceDN = "cn=postrider,dc=example,dc=org"
)

func people() []person {
	return []person{
		{dn: serviceDN, password: "service"},
		{dn: annDN, password: "ann's", filter: "(mail=ann@example.org)"},
		{dn: "uid=two,dc=example,dc=org", filter: "(mail=two@example.org)"},
		{dn: "uid=other,dc=example,dc=org", filter: "(mail=two@example.org)"},
		{dn: "uid=locked,dc=example,dc=org", filter: "(mail=locked@example.org)", result: ldap.LDAPResultUnwillingToPerform},
		{dn: "uid=often,dc=example,dc=org", filter: "(mail=often@example.org)", result: ldap.LDAPResultConstraintViolation},
		{dn: "", filter: "(mail=root@example.org)"},
	}
}

func open(t *testing.T, d *directory, change func(*Options)) *DB {
	t.Helper()
	o := Options{URL: "ldap://" + d.address, Base: "dc=example,dc=org", BindDN: serviceDN, BindPassword: "service",
		Guard: guard.Options{Entries: -1, Limits: guard.Limits{Timeout: 10 * time.Second}}}
	if change != nil {
		change(&o)
	}
	db, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func found(t *testing.T, db *DB, name string) *auth.Entry {
	t.Helper()
	e, err := db.Lookup(t.Context(), name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return e
}

func verify(t *testing.T, e *auth.Entry, password string, want bool) {
	t.Helper()
	if good, err := e.Verify(t.Context(), []byte(password)); err != nil || good != want {
		t.Errorf("%s with %q: %v, %v", e.Name, password, good, err)
	}
}

// Who is found, whose password is right, and what is neither yes nor no.
func TestUsers(t *testing.T) {
	d, roots := startDirectory(t, false, people()...)
	secured, _ := startDirectory(t, true)
	secured.people = people()
	for name, change := range map[string]func(*Options){
		"in clear": func(*Options) {},
		"StartTLS": func(o *Options) { o.StartTLS, o.TLS = true, &tls.Config{RootCAs: roots} },
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, d, change)
			for range 3 {
				ann := found(t, db, "ann@example.org")
				verify(t, ann, "ann's", true)
				verify(t, ann, "wrong", false)
				_, before, _ := d.counts()
				verify(t, ann, "", false)
				if _, after, _ := d.counts(); after != before {
					t.Error("a bind without a password was sent")
				}
			}
			if _, err := db.Lookup(t.Context(), "nobody@example.org"); !errors.Is(err, auth.ErrUnknown) {
				t.Errorf("got %v", err)
			}
			var data *guard.DataError
			if _, err := db.Lookup(t.Context(), "two@example.org"); !errors.As(err, &data) || errors.Is(err, auth.ErrUnknown) {
				t.Errorf("got %v", err)
			}
			verify(t, found(t, db, "root@example.org"), "anything", false) // an anonymous bind, if it were one
			verify(t, found(t, db, "often@example.org"), "anything", false)
			locked := found(t, db, "locked@example.org")
			for range 10 {
				if good, err := locked.Verify(t.Context(), []byte("x")); good || err == nil || errors.Is(err, guard.ErrDown) {
					t.Errorf("got %v, %v", good, err)
				}
			}
			verify(t, found(t, db, "ann@example.org"), "ann's", true)
		})
	}
	if opened, _, _ := d.counts(); opened > 4 {
		t.Errorf("%d connections were opened", opened)
	}
}

// A certificate of nobody knows whom gets no password.
func TestCertificate(t *testing.T) {
	implicit, roots := startDirectory(t, true, people()...)
	db := open(t, implicit, func(o *Options) { o.URL, o.TLS = "ldaps://"+implicit.address, &tls.Config{RootCAs: roots} })
	verify(t, found(t, db, "ann@example.org"), "ann's", true)
	start, _ := startDirectory(t, false, people()...)
	for name, change := range map[string]func(*Options){
		"ldaps":    func(o *Options) { o.URL = "ldaps://" + implicit.address },
		"StartTLS": func(o *Options) { o.URL, o.StartTLS = "ldap://"+start.address, true },
		"other name": func(o *Options) {
			o.URL, o.TLS = "ldaps://"+implicit.address, &tls.Config{RootCAs: roots, ServerName: "ldap.example.org"}
		},
	} {
		_, before, _ := implicit.counts()
		if _, err := open(t, implicit, change).Lookup(t.Context(), "ann@example.org"); err == nil || errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: got %v", name, err)
		}
		_, after, _ := implicit.counts()
		if _, binds, _ := start.counts(); binds != 0 || after != before {
			t.Errorf("%s: a password was sent", name)
		}
	}
}

// A name is no part of the filter's language.
func TestEscaping(t *testing.T) {
	d, _ := startDirectory(t, false, people()...)
	db := open(t, d, func(o *Options) { o.Filter = "(|(mail={user})(&(uid={local})(associatedDomain={domain})))" })
	for name, want := range map[string]string{
		"*@example.org":             `(|(mail=\2a@example.org)(&(uid=\2a)(associatedDomain=example.org)))`,
		"a)(uid=*@example.org":      `(|(mail=a\29\28uid=\2a@example.org)(&(uid=a\29\28uid=\2a)(associatedDomain=example.org)))`,
		`a\2a@example.org`:          `(|(mail=a\5c2a@example.org)(&(uid=a\5c2a)(associatedDomain=example.org)))`,
		"{local}{user}@example.org": `(|(mail={local}{user}@example.org)(&(uid={local}{user})(associatedDomain=example.org)))`,
		"a\x00@example.org":         `(|(mail=a\00@example.org)(&(uid=a\00)(associatedDomain=example.org)))`,
		"bare":                      `(|(mail=bare)(&(uid=bare)(associatedDomain=)))`,
	} {
		if _, err := db.Lookup(t.Context(), name); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%q: got %v", name, err)
		}
		d.change(func() {
			if got := d.filters[len(d.filters)-1]; got != want {
				t.Errorf("%q became %s", name, got)
			}
		})
	}
}

// What attributes say.
func TestAttributes(t *testing.T) {
	all := Attributes{Name: "mail", Senders: "proxyAddresses", QuotaBytes: "quota", QuotaMessages: "count", Disabled: "off"}
	for name, one := range map[string]struct {
		attributes map[string][]string
		want       *auth.Entry
	}{
		"none": {nil, &auth.Entry{Name: "x@example.org"}},
		"all": {map[string][]string{"mail": {"Ann@Example.org"}, "proxyAddresses": {"SMTP:Ann@example.org", "smtp:info@example.org", "x400:c=de", "sales@example.org", "@example.com"}, "quota": {"1000"}, "count": {"-1"}, "off": {"TRUE"}},
			&auth.Entry{Name: "ann@example.org", Senders: []string{"ann@example.org", "info@example.org", "sales@example.org", "@example.com"}, QuotaBytes: 1000, QuotaMessages: -1, Disabled: true}},
		"enabled":      {map[string][]string{"off": {"FALSE"}}, &auth.Entry{Name: "x@example.org"}},
		"two names":    {map[string][]string{"mail": {"a@example.org", "b@example.org"}}, nil},
		"no address":   {map[string][]string{"mail": {"a@b@c d"}}, nil},
		"no sender":    {map[string][]string{"proxyAddresses": {"ann"}}, nil},
		"no number":    {map[string][]string{"quota": {"1G"}}, nil},
		"two numbers":  {map[string][]string{"quota": {"1", "2"}}, nil},
		"empty number": {map[string][]string{"quota": {""}}, nil},
	} {
		d, _ := startDirectory(t, false, append(people(), person{dn: annDN, filter: "(mail=x@example.org)", attributes: one.attributes})...)
		db := open(t, d, func(o *Options) { o.Attributes = all })
		e, err := db.Lookup(t.Context(), "x@example.org")
		if one.want == nil {
			var data *guard.DataError
			if !errors.As(err, &data) {
				t.Errorf("%s: got %v, %v", name, e, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		e.Verify = nil
		if !reflect.DeepEqual(e, one.want) {
			t.Errorf("%s: got %+v, want %+v", name, e, one.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no address":       {},
		"another scheme":   {URL: "http://ldap.example.org"},
		"in clear":         {URL: "ldap://ldap.example.org"},
		"a search":         {URL: "ldaps://ldap.example.org/dc=org?mail"},
		"a login":          {URL: "ldaps://a:b@ldap.example.org"},
		"no path":          {URL: "ldapi:///"},
		"anybody":          {URL: "ldaps://ldap.example.org", Filter: "(objectClass=person)"},
		"broken filter":    {URL: "ldaps://ldap.example.org", Filter: "(mail={user}"},
		"without password": {URL: "ldaps://ldap.example.org", BindDN: "cn=x"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for url, want := range map[string]string{
		"ldap://localhost": "localhost:389", "ldaps://ldap.example.org/": "ldap.example.org:636",
		"ldaps://[::1]:1636": "[::1]:1636", "ldapi://%2Frun%2Fslapd%2Fldapi": "/run/slapd/ldapi",
	} {
		db, err := New(Options{URL: url})
		if err != nil || db.searches.to.address != want {
			t.Errorf("%s: %+v, %v", url, db, err)
		}
	}
}

package ldapdb

import (
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Whatever the name, the filter stays the one comparison that it was, with the name.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"ann@example.org", "*", "a)(uid=*", `\2a`, "{local}", "\x00", "é", "(", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := ldap.CompileFilter(fill("(mail={user})", name))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if p.Tag != ldap.FilterEqualityMatch || len(p.Children) != 2 || p.Children[0].Data.String() != "mail" || p.Children[1].Data.String() != name {
			text, err := ldap.DecompileFilter(p)
			t.Errorf("%q became %s, %v", name, text, err)
		}
	})
}

package userfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
)

const (
	bcrypt = "$2y$05$m1ylHV17WxahnLy546nd6e9VRRhm/WJzG.pKjvkMzzaFXo.UEy9sy" // of "Hello world!"
	ssha   = "{SSHA}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O"
	scram  = "4096,a0PfGG5XX4PhhZkxkldIOg==,5Dov07o2uDHwW6GNsvSCKHOSt1tf0riCek9Xoo/p0wc=,8dRw9wT6FkGJKH/xsnm3jhcnylySd+RCHl7j199+42M="
)

func TestImport(t *testing.T) {
	for _, c := range []struct {
		format, text string
		plain        bool
		want         []string // "name password quota disabled", or "line N"
	}{
		{"htpasswd", "# a comment\n\nann:" + bcrypt + "\nbob:{SHA}00hq6RNueFa8QiEjhep5cJRHWAI=\n" +
			"carl:$apr1$abcdefgh$abcdefghijklmnopqrstu/\nnothing\n", false,
			[]string{"ann@isp.example true 0 false", "bob@isp.example true 0 false", "line 5", "line 6"}},
		{"passwd", "root:*:19000:0:99999:7:::\nAnn:" + bcrypt + ":19000:0:99999:7:::\nbob:!" + bcrypt + ":19000\ncarl:x:1:1\ndora::1\n", false,
			[]string{"line 1", "ann@isp.example true 0 false", "bob@isp.example true 0 true", "line 4", "line 5"}},
		{"dovecot", "ann@other.example:" + ssha + ":5000:5000::/home/ann::userdb_quota_rule=*:storage=2G nologin\n" +
			"bob:{BLF-CRYPT}" + bcrypt + "::::::userdb_quota_storage_size=500M\ncarl:{PLAIN}Hello world!\ndora:Hello world!\n" +
			"eve:{SCRAM-SHA-256}" + scram + "\nfred:" + ssha + "::::::userdb_quota_rule=*:storage=lots\na b:" + ssha + "\n", false,
			[]string{"ann@other.example true 2147483648 true", "bob@isp.example true 524288000 false", "line 3", "line 4",
				"eve@isp.example true 0 false", "line 6", "line 7"}},
		{"dovecot", "carl:{PLAIN}Hello world!\n", true, []string{"carl@isp.example true 0 false"}},
	} {
		i := userfile.Import{Format: c.format, Domain: "isp.example", Plain: c.plain}
		var got []string
		err := i.Read(strings.NewReader(c.text), func(line int, e *auth.Entry, err error) error {
			if err != nil {
				if strings.Contains(err.Error(), "Hello") {
					t.Errorf("the password is told: %v", err)
				}
				got = append(got, fmt.Sprint("line ", line))
				return nil
			}
			fits, err := password.Match(e.Hash, []byte("Hello world!"))
			if err != nil || password.IsPlain(e.Hash) || strings.HasPrefix(e.Name, "eve") != (e.Scram != nil && e.Scram.Iterations == 4096) {
				t.Errorf("%+v: %v", e, err)
			}
			got = append(got, fmt.Sprint(e.Name, " ", fits, " ", e.QuotaBytes, " ", e.Disabled))
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v\nwant %q", c.format, got, err, c.want)
		}
	}
	i := userfile.Import{Format: "htpasswd"}
	if err := i.Read(strings.NewReader("ann:"+bcrypt), func(_ int, _ *auth.Entry, err error) error { return err }); err == nil {
		t.Error("a bare name without a domain was taken")
	}
}

func FuzzImport(f *testing.F) {
	f.Add("dovecot", "ann:"+ssha+":1:1::/::userdb_quota_rule=*:storage=2G nologin")
	f.Add("passwd", "ann:!"+bcrypt+":1:1")
	f.Fuzz(func(t *testing.T, format, text string) {
		i := userfile.Import{Format: format, Domain: "isp.example"}
		users := 0
		path := filepath.Join(t.TempDir(), "users")
		err := userfile.Change(path, func(e *userfile.Edit) error {
			return i.Read(strings.NewReader(text), func(_ int, u *auth.Entry, err error) error {
				if err != nil {
					return nil
				}
				if e.Lookup(u.Name) == nil {
					users++
				}
				return e.Put(u) // what was read can be kept
			})
		})
		if table, lerr := userfile.Load(path); err != nil || lerr != nil || table.Users() != users {
			t.Errorf("%q: %v, %v", text, err, lerr)
		}
	})
}

// The password of a user is changed, and the app passwords stay good, also for
// SCRAM.
func TestSetPassword(t *testing.T) {
	e := &auth.Entry{Name: "ann@isp.example"}
	secret := []byte("secret")
	if err := userfile.SetPassword(e, []byte("old"), true); err != nil {
		t.Fatal(err)
	}
	salt := string(e.Scram.Salt)
	plain, err := userfile.AddAppPassword(e, secret, "phone", []string{"pop3"})
	if err != nil || auth.AppDigest(secret, auth.BareAppPassword([]byte(plain))) != e.AppPasswords[0].Digest {
		t.Fatalf("%q, %v", plain, err)
	}
	if err := userfile.SetPassword(e, []byte("new"), true); err != nil {
		t.Fatal(err)
	}
	if string(e.Scram.Salt) != salt || e.AppPasswords[0].Scram == nil {
		t.Error("the salt changed, so that app passwords fail by SCRAM")
	}
	if fits, err := password.Match(e.Hash, []byte("new")); !fits || err != nil {
		t.Errorf("%v, %v", fits, err)
	}
	if err := userfile.SetPassword(e, []byte("newer"), false); err != nil || e.Scram != nil || e.AppPasswords[0].Scram != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestDecoy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	for text, want := range map[string][]string{
		"":                  {""},
		"ann@isp.example\n": {""},
		"ann@isp.example\n\nbob@isp.example password=" + bcrypt + "\ncarl@isp.example password=" + ssha: {bcrypt, ssha},
	} {
		if err := os.WriteFile(path, []byte(header+text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := userfile.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for i := range 100 {
			name := fmt.Sprint("nobody", i, "@isp.example")
			d := f.Decoy(name)
			if d != f.Decoy(name) || !slices.Contains(want, d) {
				t.Errorf("%s: %q, then %q", name, d, f.Decoy(name))
			}
			seen[d] = true
		}
		if len(seen) != len(want) {
			t.Errorf("%q: %v", text, seen)
		}
	}
}

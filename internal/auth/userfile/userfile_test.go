package userfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
)

const header = "# postrider users 1\n"

// full is a user with everything.
func full(t *testing.T) *auth.Entry {
	t.Helper()
	e := &auth.Entry{Name: `"ann b,c%"@isp.example`, Senders: []string{"@ann.example", `"x,y z"@isp.example`},
		QuotaBytes: 5e9, QuotaMessages: -1, Disabled: true}
	if err := userfile.SetPassword(e, []byte("pencil"), true); err != nil {
		t.Fatal(err)
	}
	for name, scopes := range map[string][]string{"my phone; 100%": {"pop3", "imap"}, "pc": nil} {
		if _, err := userfile.AddAppPassword(e, []byte("secret"), name, scopes); err != nil {
			t.Fatal(err)
		}
	}
	e.AppPasswords[1].Scram = nil
	return e
}

func TestChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	ann := full(t)
	put := func(users ...*auth.Entry) {
		t.Helper()
		if err := userfile.Change(path, func(e *userfile.Edit) error {
			for _, u := range users {
				if err := e.Put(u); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(&auth.Entry{Name: "bob@isp.example"}, ann)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// What people add by hand stays where it is.
	text = []byte(strings.Replace(string(text), "bob@", "\n  # about bob\n\t\nbob@", 1) + "# the end")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := userfile.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got := table.Lookup(ann.Name)
	if got == nil || !sameEntry(got, ann) || table.Users() != 2 {
		t.Errorf("got  %+v\nwant %+v", got, ann)
	}
	put(&auth.Entry{Name: "bob@isp.example", QuotaBytes: 1 << 30}, &auth.Entry{Name: "carl@isp.example"})
	if err := userfile.Change(path, func(e *userfile.Edit) error {
		if !e.Remove("carl@isp.example") || e.Remove("carl@isp.example") || e.Remove("zoe@isp.example") {
			t.Error("Remove does not know who is there")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(string(text), "bob@isp.example", "bob@isp.example quota=1GiB", 1) + "\n"; string(after) != want {
		t.Errorf("got\n%swant\n%s", after, want)
	}
	for _, name := range []string{path, path + ".key"} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 2 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// sameEntry compares what the file keeps: of an app password's SCRAM keys the salt
// is the user's.
func sameEntry(a, b *auth.Entry) bool {
	strip := func(e *auth.Entry) *auth.Entry {
		c := *e
		c.AppPasswords = nil
		for _, p := range e.AppPasswords {
			if p.Scram != nil {
				p.Scram = &password.Scram{StoredKey: p.Scram.StoredKey, ServerKey: p.Scram.ServerKey}
			}
			c.AppPasswords = append(c.AppPasswords, p)
		}
		return &c
	}
	return reflect.DeepEqual(strip(a), strip(b))
}

func TestChangeByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	var all sync.WaitGroup
	const n = 20
	for i := range n {
		all.Go(func() {
			if err := userfile.Change(path, func(e *userfile.Edit) error {
				return e.Put(&auth.Entry{Name: fmt.Sprintf("user%d@isp.example", i)})
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	table, err := userfile.Load(path)
	if err != nil || table.Users() != n {
		t.Errorf("%d of %d users, %v", table.Users(), n, err)
	}
}

func TestChangeKeepsWhatItCannotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	const text = header + "bob@isp.example nonsense\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err := userfile.Change(path, func(e *userfile.Edit) error { return e.Put(&auth.Entry{Name: "ann@isp.example"}) })
	var place *userfile.Error
	if !errors.As(err, &place) || place.Line != 2 || place.Column != 17 {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != text {
		t.Errorf("%q, %v", after, err)
	}
	// Nor is anything written that it would not read.
	good := filepath.Join(t.TempDir(), "users")
	for _, u := range []*auth.Entry{{Name: "Ann@isp.example"}, {Name: "ann"}, {Name: "a@isp.example", Hash: "x"},
		{Name: "a@isp.example", Senders: []string{"nonsense"}}} {
		if err := userfile.Change(good, func(e *userfile.Edit) error { return e.Put(u) }); err == nil {
			t.Errorf("%+v was taken", u)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	key := strings.Repeat("A", 42) + "A"
	for _, c := range []struct {
		text         string
		line, column int
	}{
		{"bob@isp.example\n", 1, 1},
		{"# postrider users 2\n", 1, 1},
		{header + "Bob@isp.example\n", 2, 1},
		{header + "bob\n", 2, 1},
		{header + "  bob@isp.example\n\nbob@isp.example\n", 4, 1},
		{header + "bob@isp.example disabled disabled\n", 2, 26},
		{header + "bob@isp.example disabled=yes\n", 2, 17},
		{header + "bob@isp.example password\n", 2, 17},
		{header + "bob@isp.example  password=secret\n", 2, 18},
		{header + "bob@isp.example colour=red\n", 2, 17},
		{header + "bob@isp.example quota=5XB\n", 2, 17},
		{header + "bob@isp.example quota=99999999999TB\n", 2, 17},
		{header + "bob@isp.example quota-messages=many\n", 2, 17},
		{header + "bob@isp.example scram=1,2,3\n", 2, 17},
		{header + "bob@isp.example app=a;ftp;" + key + "\n", 2, 17},
		{header + "bob@isp.example app=a;*;short\n", 2, 17},
		{header + "bob@isp.example app=;*;" + key + "\n", 2, 17},
		{header + "bob@isp.example app=a;*;" + key + ";" + key + ";" + key + "\n", 2, 1}, // no salt
		{header + "bob@isp.example send-as=alice\n", 2, 17},
		{header + "bob@isp.example send-as=a%2\n", 2, 17},
		{header + "bob@isp.example password=a\x01b\n", 2, 17},
	} {
		_, err := userfile.Parse([]byte(c.text))
		var place *userfile.Error
		if !errors.As(err, &place) || place.Line != c.line || place.Column != c.column {
			t.Errorf("%q: %v, want %d:%d", c.text, err, c.line, c.column)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is told: %v", err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "17": 17, "none": -1, "5GB": 5e9, "5gb": 5e9, "1GiB": 1 << 30, "3kB": 3000, "2KiB": 2048, "9B": 9} {
		got, err := userfile.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if back, err := userfile.ParseSize(string(userfile.AppendSize(nil, got))); err != nil || back != want {
			t.Errorf("%q: %q is %d, %v", text, userfile.AppendSize(nil, got), back, err)
		}
	}
	for _, text := range []string{"", "GB", "-1", "5 GB", "5XB", "1.5GB", "5i"} {
		if n, err := userfile.ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}

// What is read is written so that it is read the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(header + "ann@isp.example password={SSHA}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O quota=5GB send-as=@x.example,a@b disabled\n# end"))
	f.Add([]byte(header + "\"a%20b\"@isp.example app=a%3Bb;pop3,imap;AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\n  b@c quota-messages=-1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := userfile.Parse(data)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := userfile.Change(path, func(e *userfile.Edit) error {
			for u := range table.All() {
				if err := e.Put(u); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		again, err := userfile.Load(path)
		if err != nil || again.Users() != table.Users() {
			t.Fatalf("%q: %v", data, err)
		}
		for u := range table.All() {
			if got := again.Lookup(u.Name); got == nil || !sameEntry(got, u) {
				t.Errorf("%q: %+v became %+v", data, u, got)
			}
		}
	})
}

package userfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
)

func addUser(t *testing.T, path, name string) {
	t.Helper()
	if err := userfile.Change(path, func(e *userfile.Edit) error { return e.Put(&auth.Entry{Name: name}) }); err != nil {
		t.Fatal(err)
	}
}

func appendText(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFileRefresh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	f, err := userfile.Open(path) // there is none yet
	if err != nil || f.Table().Users() != 0 || f.Secret() != nil {
		t.Fatalf("%v", err)
	}
	refresh := func(wantChanged bool, wantUsers int) {
		t.Helper()
		changed, err := f.Refresh()
		if changed != wantChanged || err != nil || f.Table().Users() != wantUsers {
			t.Fatalf("changed %v, %d users, %v; want %v, %d", changed, f.Table().Users(), err, wantChanged, wantUsers)
		}
	}
	refresh(false, 0)
	addUser(t, path, "ann@isp.example")
	refresh(true, 1) // another file took its place: it is whole
	if len(f.Secret()) != 32 {
		t.Error("the secret was not read with it")
	}
	if _, err := f.Lookup(t.Context(), "ann@isp.example"); err != nil {
		t.Error(err)
	}
	if _, err := f.Lookup(t.Context(), "bob@isp.example"); !errors.Is(err, auth.ErrUnknown) {
		t.Error(err)
	}
	refresh(false, 1)
	appendText(t, path, "bob@isp.example\n")
	refresh(false, 1) // may still be written to
	refresh(true, 2)
	appendText(t, path, "carl@isp.example nonsense\n")
	refresh(false, 2)
	changed, err := f.Refresh()
	if want := path + ":4:18: "; changed || err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	refresh(false, 2) // told once, and the old users stay
	if err := f.Reload(); err == nil || f.Table().Users() != 2 {
		t.Errorf("%v", err)
	}
}

func TestFileWatchSeesAChangeWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	synctest.Test(t, func(t *testing.T) {
		f, err := userfile.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		told := make(chan int)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f.Watch(ctx, func(users int, err error) {
				if err != nil {
					t.Error(err)
				}
				told <- users
			})
		}()
		addUser(t, path, "ann@isp.example")
		began := time.Now()
		if n := <-told; n != 1 || time.Since(began) > time.Second {
			t.Errorf("%d users after %v", n, time.Since(began))
		}
		stop()
		<-ended
	})
}

func TestScramReady(t *testing.T) {
	for text, want := range map[string]bool{
		"":                         true,
		"ann@isp.example":          true, // no password at all
		"ann@isp.example disabled": true,
		"ann@isp.example password={SSHA}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O": false,
		"ann@isp.example app=phone;*;" + strings.Repeat("A", 43):          false, // a program's, without keys
	} {
		path := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(path, []byte(header+text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := userfile.Open(path)
		if err != nil || f.ScramReady() != want {
			t.Errorf("%q: %v, %v", text, f.ScramReady(), err)
		}
	}
}

func many(n int) []byte {
	const scram = " scram=65536,LcGsU1nY3l8cVo0Vmk0whw==,NaVBtiByNLJmXLmKV3xhib45HozM+hr85s3gWnz1lNw=,OkedO6oqV3NmveVV6yvEp6kVz9ussv98aW85lETa6ZI= quota=5GB\n"
	b := bytes.NewBufferString(header)
	for i := range n {
		fmt.Fprintf(b, "user%d@isp.example password=%s%s", i, password.Dummy(), scram)
	}
	return b.Bytes()
}

// BenchmarkParse reads files of so many users.
func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := many(n)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				t, err := userfile.Parse(data)
				if err != nil || t.Users() != n {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLookup finds one user of so many.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		t, err := userfile.Parse(many(n))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if t.Lookup("user7@isp.example") == nil {
					b.Fatal("not there")
				}
			}
		})
	}
}

// A file that vanishes takes no users with it: somebody may be about to put another
// in its place.
func TestUsersOutliveTheirFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# postrider users 1\nann@isp.example\n")
	f, err := userfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if changed, err := f.Refresh(); changed || err == nil {
		t.Errorf("the file is gone: %v, %v", changed, err)
	}
	if changed, err := f.Refresh(); changed || err != nil {
		t.Errorf("it is told again: %v, %v", changed, err)
	}
	if f.Table().Users() != 1 {
		t.Error("the users are gone with their file")
	}
	write("# postrider users 1\n")
	if changed, err := f.Refresh(); !changed || err != nil || f.Table().Users() != 0 {
		t.Errorf("a file without users: %v, %v, %d users", changed, err, f.Table().Users())
	}
}

// A user who has nothing but passwords of programs can use them by SCRAM.
func TestAppPasswordOfAUserWithoutPassword(t *testing.T) {
	e := &auth.Entry{Name: "web@isp.example"}
	if _, err := userfile.AddAppPassword(e, []byte("secret"), "laptop", nil); err != nil {
		t.Fatal(err)
	}
	if e.Hash != "" || e.Scram == nil || e.AppPasswords[0].Scram == nil {
		t.Errorf("%+v", e)
	}
}

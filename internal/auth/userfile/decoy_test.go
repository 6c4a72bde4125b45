package userfile_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/auth"
	"postrider/internal/auth/userfile"
)

// What SCRAM tells a client of a user, rounds and length of the salt, it tells of
// nobody too, though the keys were imported from elsewhere.
//
// Covers HR4.
func TestScramTellsNobodyApart(t *testing.T) {
	key := strings.Repeat("A", 43) + "="
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(header+"ann@isp.example scram=4096,"+base64.StdEncoding.EncodeToString([]byte("twelve bytes"))+","+key+","+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := userfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	a := auth.New(auth.Options{Databases: []auth.Database{f}, Limits: auth.Limits{Delay: -1}})
	defer a.Close()
	shape := func(name string) string {
		e, err := a.Start(t.Context(), &auth.Attempt{Protocol: "smtp"}, auth.Scram)
		if err != nil {
			t.Fatal(err)
		}
		first, done, err := e.Next([]byte("n,,n=" + name + ",r=abcdefgh"))
		if err != nil || done {
			t.Fatalf("%s: %q, %v, %v", name, first, done, err)
		}
		part := strings.Split(string(first), ",")
		return fmt.Sprint(len(part[1]), " ", part[2])
	}
	if known, unknown := shape("ann@isp.example"), shape("nobody@isp.example"); known != unknown || known != "18 i=4096" {
		t.Errorf("ann: %s, nobody: %s", known, unknown)
	}
}

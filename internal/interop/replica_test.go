//go:build interop

package interop

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tuid is a line that mbsync puts into what it copies.
var tuid = regexp.MustCompile(`(?m)^X-TUID: .*\n`)

// replica is a tree of Maildirs that a client keeps equal to what is on the server.
// What it holds has bare line feeds.
type replica struct {
	t   *testing.T
	dir string
}

// box returns the texts and flags ("FRS", say) of a mailbox, by text.
func (r replica) box(name string) map[string]string {
	r.t.Helper()
	texts := map[string]string{}
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(r.dir, name, sub))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(r.dir, name, sub, e.Name()))
			if err != nil {
				r.t.Fatal(err)
			}
			_, flags, _ := strings.Cut(e.Name(), ":2,")
			texts[tuid.ReplaceAllString(string(b), "")] = flags
		}
	}
	return texts
}

// file returns the path of the message with a text in it.
func (r replica) file(box, part string) string {
	r.t.Helper()
	found := ""
	err := filepath.WalkDir(filepath.Join(r.dir, box), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.Contains(path, "/cur/") && !strings.Contains(path, "/new/") {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), part) {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		r.t.Fatalf("no message with %q in %s: %v", part, box, err)
	}
	return found
}

// mark gives the message with a text in it other flags.
func (r replica) mark(box, part, flags string) {
	r.t.Helper()
	path := r.file(box, part)
	name, _, _ := strings.Cut(filepath.Base(path), ":2,")
	if err := os.Rename(path, filepath.Join(r.dir, box, "cur", name+":2,"+flags)); err != nil {
		r.t.Fatal(err)
	}
}

// add puts a message into a mailbox.
func (r replica) add(box, name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, box, "cur", name+":2,S"), []byte(strings.ReplaceAll(text, "\r\n", "\n")), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// same wants the replica of a mailbox to be what is on the server, octet for octet,
// with the flags that a Maildir has.
func (r replica) same(s *imapServer, user, box string, want int) {
	r.t.Helper()
	_, found := s.texts(user, box)
	here := r.box(box)
	if len(found) != want || len(here) != want {
		r.t.Errorf("%s: %d messages on the server, %d here, want %d", box, len(found), len(here), want)
	}
	for _, f := range found {
		flags, ok := here[tuid.ReplaceAllString(strings.ReplaceAll(f.Text, "\r\n", "\n"), "")]
		if !ok {
			r.t.Errorf("%s: message %d is not here: %.200q", box, f.UID, f.Text)
			continue
		}
		var letters []string
		for flag, letter := range map[string]string{`\draft`: "D", `\flagged`: "F", `\answered`: "R", `\seen`: "S", `\deleted`: "T"} {
			if f.Flags[flag] {
				letters = append(letters, letter)
			}
		}
		slices.Sort(letters)
		if got := strings.Join(letters, ""); got != flags {
			r.t.Errorf("%s: message %d has %q on the server, %q here", box, f.UID, got, flags)
		}
	}
}

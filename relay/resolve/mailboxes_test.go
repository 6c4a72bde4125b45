package resolve_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/aliases"
	"postrider/relay/policy"
	"postrider/relay/resolve"
	"postrider/relay/route"
)

// users are mailboxes by address; "down" cannot be told, "full" has no room.
type users map[string]bool

func (u users) Recipient(_ context.Context, address []byte, announcedBytes int64) mail.Status {
	local, _, _ := strings.Cut(string(address), "@")
	switch {
	case local == "down":
		return mail.NewStatus(451, 4, 3, 0, "later")
	case local == "full" && announcedBytes >= 0:
		return mail.NewStatus(452, 4, 2, 2, "full")
	case !u[string(address)]:
		return mail.NewStatus(550, 5, 1, 1, "no such user here")
	}
	return mail.Status{}
}

// Users are known at RCPT, before a catch-all and behind aliases.
//
// Covers M6.
func TestMailboxes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aliases")
	text := "sales@box.example: alice, bob\nteam@box.example: alice, nobody\nall@box.example: alice, full\nwaits@box.example: down\n" +
		"@box.example: alice\n@old.example: @box.example\n@only.example: alice@box.example\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	local := []string{"box.example", "old.example", "only.example", "plain.example"}
	file, err := aliases.Open(path, aliases.Options{Local: local})
	if err != nil {
		t.Fatal(err)
	}
	r := &resolve.Rules{
		Access:    policy.New(policy.Options{LocalDomains: local}),
		Routes:    route.New(route.Options{Local: local}),
		Aliases:   file,
		Mailboxes: users{"alice@box.example": true, "bob@box.example": true, "full@box.example": true, "carol@plain.example": true, "postmaster@plain.example": true},
	}
	var a resolve.Answer
	for address, want := range map[string]string{
		"alice@box.example":        "alice@box.example",
		"bob@box.example":          "bob@box.example", // not the catch-all's
		"other@box.example":        "alice@box.example",
		"down@box.example":         "451 4.3.0", // may be a user, so that it is not the catch-all's either
		"full@box.example":         "452 4.2.2",
		"sales@box.example":        "alice@box.example bob@box.example",
		"all@box.example":          "alice@box.example full@box.example", // one that is full keeps nothing from others
		"waits@box.example":        "451 4.3.0",
		"bob@old.example":          "bob@box.example",
		"other@old.example":        "alice@box.example",
		"x@only.example":           "alice@box.example",
		"carol@plain.example":      "carol@plain.example",
		"nobody@plain.example":     "550 5.1.1",
		"down@plain.example":       "451 4.3.0",
		"postmaster@box.example":   "alice@box.example",
		"postmaster@plain.example": "postmaster@plain.example",
		"postmaster":               "postmaster",
	} {
		for _, byLMTP := range []bool{false, true} {
			if got := ask(t, r, stranger, byLMTP, "s@sender.example", address, &a); got != want {
				t.Errorf("%s: %s, want %s", address, got, want)
			}
		}
	}
	r.Aliases = nil
	r.Postmaster = []byte("down@plain.example")
	if got := ask(t, r, stranger, false, "", "postmaster@box.example", &a); got != "451 4.3.0" {
		t.Errorf("a postmaster who cannot be looked up: %s", got)
	}
}

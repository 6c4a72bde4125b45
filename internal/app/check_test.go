package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/app"
	"postrider/internal/config"
)

// A check reads what the configuration names, and tells of all of it at once.
func TestCheckReadsTheFilesThatAreNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func() string {
		t.Helper()
		cfg, err := config.Load(filepath.Join(dir, "postrider.toml"))
		if err != nil {
			t.Fatal(err)
		}
		if err = app.Check(cfg); err != nil {
			return err.Error()
		}
		return ""
	}
	write("postrider.toml", `version = 1
[outbound]
replies_file = "replies.toml"
providers_file = "providers.toml"
[bounce]
templates = "words"
[tls]
certificate = "cert.pem"
key = "key.pem"
[admin]
token_file = "token"
`)
	write("replies.toml", "[[reply]]\ncodes = 7\n")
	write("providers.toml", "[[provider]\n")
	if err := os.Mkdir(filepath.Join(dir, "words"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("words/failure.txt", "{{.Nobody")
	write("token", "\n")
	told := check()
	for _, want := range []string{"replies.toml:", "providers.toml:1:", "templates", "cert.pem", "token is empty"} {
		if !strings.Contains(told, want) {
			t.Errorf("nothing is said of %q in:\n%s", want, told)
		}
	}
	write("postrider.toml", "version = 1\n[aliases]\nfile = \"aliases\"\n")
	write("aliases", "broken line\n")
	if told := check(); !strings.Contains(told, "aliases:1") {
		t.Errorf("aliases: %q", told)
	}
	write("aliases", "")
	if told := check(); told != "" {
		t.Errorf("nothing is wrong, and told is %q", told)
	}
}

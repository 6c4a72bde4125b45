package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"postrider/internal/config"
)

// A file named by a relative path has its data beside it, once.
func TestRelativeFile(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	if err := os.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	text := "version = 1\ndata_dir = \"data\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n" +
		"[[listener]]\naddress = \"unix:in.sock\"\nservice = \"relay\"\n[[route]]\ndomain = \"*\"\nnext_hop = \"lmtp:unix:out.sock\"\n"
	file := filepath.Join("sub", "p.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct{ name, got, want string }{
		{"data_dir", c.DataDir, "sub/data"},
		{"admin.socket", c.Admin.Socket, "sub/data/admin.sock"},
		{"log.events", c.Log.Events, "sub/data/events.jsonl"},
		{"tls.certificate", c.TLS.Certificate, "sub/c.pem"},
		{"tls.key", c.TLS.Key, "sub/k.pem"},
		{"listener", c.Listeners[0].Host, "sub/data/in.sock"},
		{"next_hop", c.Routes[0].Hop.Address, "sub/data/out.sock"},
	} {
		got := p.got
		if !filepath.IsAbs(got) {
			got = filepath.Join(here, got)
		}
		if want := filepath.Join(here, p.want); got != want {
			t.Errorf("%s: %s, want %s", p.name, got, want)
		}
	}
}

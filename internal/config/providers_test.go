package config_test

import (
	"strings"
	"testing"

	"postrider/internal/config"
)

// Covers T10.
func TestShippedProviders(t *testing.T) {
	all, err := config.LoadProviders("")
	if err != nil || len(all) < 20 {
		t.Fatalf("%d providers, %v", len(all), err)
	}
	byName := map[string]config.Provider{}
	for _, p := range all {
		byName[p.Name] = p
		if p.Connections == 0 || p.RecipientsPerTransaction == 0 {
			t.Errorf("%s has no caps", p.Name)
		}
	}
	if !byName["microsoft"].OneSite || byName["google"].MixDomains {
		t.Error("microsoft and google are not what they are known to be")
	}
	rules, err := config.ParseReplies("none", []byte("shipped = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if _, ok := byName[r.Provider]; r.Provider != "" && !ok {
			t.Errorf("rule %s is for %s, which is no provider", r.Name, r.Provider)
		}
	}
}

// An operator's group takes the place of the shipped one of that name, and comes
// before all shipped ones.
// Covers T10.
func TestOwnProviders(t *testing.T) {
	const own = "[[provider]]\nname = \"google\"\nhosts = [\"mx.example.com\", \".Google.com\"]\nmessages_per_second = 0.5\nconnects_per_second = 2\n"
	shipped, err := config.LoadProviders("")
	if err != nil {
		t.Fatal(err)
	}
	all, err := config.ParseProviders("f.toml", []byte(own))
	if err != nil || len(all) != len(shipped) {
		t.Fatalf("%d providers, %v", len(all), err)
	}
	if p := all[0]; p.Name != "google" || p.MessagesPerSecond != 0.5 || p.ConnectsPerSecond != 2 || p.Connections != 0 || p.Hosts[1] != ".google.com" {
		t.Errorf("%+v", p)
	}
	for _, p := range all[1:] {
		if p.Name == "google" {
			t.Error("the shipped group is still there")
		}
	}
	all, err = config.ParseProviders("f.toml", []byte("shipped = false\n"+own))
	if err != nil || len(all) != 1 {
		t.Errorf("%d providers, %v", len(all), err)
	}
}

func TestProviderFileErrors(t *testing.T) {
	const head = "[[provider]]\nname = \"a\"\nhosts = [\"mx.example\"]\n"
	tests := []struct{ text, want string }{
		{"[[provider]]\nhosts = [\"mx.example\"]\n", "f.toml:1:3: a provider without a name"},
		{"[[provider]]\nname = \"a\"\n", "f.toml:1:3: a provider without hosts"},
		{"[[provider]]\nname = \"A b\"\n", "f.toml:2:8: a name is"},
		{head + "[[provider]]\nname = \"a\"\nhosts = [\"my.example\"]\n", "f.toml:5:8: another provider has the name a"},
		{head + "[[provider]]\nname = \"b\"\nhosts = [\"x.example\", \"MX.example\"]\n", "f.toml:6:23: mx.example is already a host of a"},
		{"[[provider]]\nname = \"a\"\nhosts = [\".com\"]\n", `f.toml:3:10: ".com" stands for a whole top level domain`},
		{"[[provider]]\nname = \"a\"\nhosts = [\"*.example.com\"]\n", `f.toml:3:10: "*.example.com" is not a host`},
		{head + "connections = -1\n", "f.toml:4:15: -1 is out of range"},
		{head + "messages_per_second = \"1\"\n", "f.toml:4:23: want a decimal number"},
		{head + "messages_per_second = nan\n", "f.toml:4:23: nan is out of range"},
		{head + "conections = 1\n", `f.toml:4:1: unknown key "conections" in [[provider]]; did you mean "connections"?`},
	}
	for _, tt := range tests {
		_, err := config.ParseProviders("f.toml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

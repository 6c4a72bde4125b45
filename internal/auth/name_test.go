package auth_test

import (
	"strings"
	"testing"

	"postrider/internal/auth"
)

func TestCanonical(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"ann@isp.example":           "ann@isp.example",
		"Ann.B@ISP.Example":         "ann.b@isp.example",
		"ann+tag@isp.example":       "ann+tag@isp.example",
		"ANN":                       "ann",
		`"ann"@isp.example`:         "ann@isp.example",
		`"a B"@isp.example`:         `"a b"@isp.example`,
		"ännchen@isp.example":       "ännchen@isp.example",
		"ann@[192.0.2.1]":           "ann@[192.0.2.1]",
		"-ann-@isp.example":         "-ann-@isp.example",
		long + "a@isp.example":      long + "a@isp.example",
		"ann@" + long + ".example":  "ann@" + long + ".example",
		"ann@" + long + "a.example": "", "ann@isp+x.example": "", "ann@127.1": "", "ann@-isp.example": "",
		"ann@isp-.example": "", "ann@isp.example.": "", "ann@.example": "", "ann@": "", "@isp.example": "",
		"a..b@isp.example": "", ".a@isp.example": "", "a.@isp.example": "", "ann@isp@example": "",
		"": "", "a b": "", "a\x00@isp.example": "", strings.Repeat("a", 250) + "@isp.example": "",
	} {
		if got := auth.Canonical(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// What is canonical stays so, whatever way it was found.
func FuzzCanonical(f *testing.F) {
	f.Add("Ann+x@isp.example")
	f.Add(`"a b"@[IPv6:::1]`)
	f.Fuzz(func(t *testing.T, name string) {
		got := auth.Canonical(name)
		if got != "" && auth.Canonical(got) != got {
			t.Errorf("%q: %q, then %q", name, got, auth.Canonical(got))
		}
	})
}

package password_test

import (
	"errors"
	"strings"
	"testing"

	"postrider/internal/auth/password"
)

// stored are forms that other programs made of "Hello world!": Dovecot's doveadm,
// crypt(3), Python's hashlib.
func stored() map[string]string {
	return map[string]string{
		"argon2id":          `{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$RVmu7r+XxucC4os6FUaBuA$I+qc2dGHfOGweYezsP3lH9t8aJpxvy7/mHVx8uF8GfQ`,
		"dovecot argon2i":   `{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$Ih4YtlZyx80r743JbvlzPA$L5nK8NbR68z3pIFC9fZ421EUyXpHDmM7HzQcwKzwXyg`,
		"bcrypt":            `$2y$05$m1ylHV17WxahnLy546nd6e9VRRhm/WJzG.pKjvkMzzaFXo.UEy9sy`,
		"dovecot bcrypt":    `{BLF-CRYPT}$2y$05$m1ylHV17WxahnLy546nd6e9VRRhm/WJzG.pKjvkMzzaFXo.UEy9sy`,
		"crypt bcrypt":      `{CRYPT}$2y$05$.DGsxxZbYrfm.8B.V6qXUOYSWJNj.xq1rQkeA6hiPs5VyyyOhTy4O`,
		"dovecot sha512":    `{SHA512-CRYPT}$6$mcuDhXSKg01f.NiL$FRFpIllvNSEWH1fzD3xbzAAV1yRnUwlDYeqljAmlvLb7sJgRFoJkexKLM9kJ8jyugnd2q7md.8IQWQAlFVTNI1`,
		"sha512-crypt":      `$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1`,
		"sha256-crypt":      `$5$XodgF7K5A3aFf4RG$t0GwKMM7oDWAbhmZeFp8wLPXX4meWitQbc4PAjiogU9`,
		"rounds":            `$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA`,
		"md5-crypt":         `$1$gVlpGc5g$Xk8VMZQqrMEytZJtgqkc2/`,
		"dovecot md5-crypt": `{MD5-CRYPT}$1$gVlpGc5g$Xk8VMZQqrMEytZJtgqkc2/`,
		"sha1-crypt":        `$sha1$1000$abcdefgh$AX5bxxZ9EdHCZJ.2RnbKP1KhQypb`,
		"yescrypt":          `$y$j9T$F5Jx5fExrKuPp53xLKQ..1$42RgPIrXdXSEEs77lDi/4IqKVqFBAVaHJkzw5uD1r57`,
		"scrypt":            `$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$StE6oYRIyr5D0NGwHkrJu5DKEIuMHEfyRAf4ZbJXvaE`,
		"pbkdf2":            `$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$ENhrQ1RIfbKr9fZuJIP.pwvh4VqaRGDp8Hv8yrGxbI4`,
		"ldap pbkdf2":       `{PBKDF2-SHA256}1000$MDEyMzQ1Njc4OWFiY2RlZg$ENhrQ1RIfbKr9fZuJIP.pwvh4VqaRGDp8Hv8yrGxbI4`,
		"dovecot pbkdf2":    `{PBKDF2}$1$i3.90PnWVR6LDavP$5000$2496c7372a37883559097bc95a8abf96d695f251`,
		"dovecot scram":     `{SCRAM-SHA-256}4096,a0PfGG5XX4PhhZkxkldIOg==,5Dov07o2uDHwW6GNsvSCKHOSt1tf0riCek9Xoo/p0wc=,8dRw9wT6FkGJKH/xsnm3jhcnylySd+RCHl7j199+42M=`,
		"ssha":              `{SSHA}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O`,
		"ssha lower":        `{ssha}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O`,
		"ssha hex":          `{SSHA.HEX}9e95cc8be3edf5a9834c6fc57b90f3a00c4af11bf80185f9`,
		"ssha256":           `{SSHA256}hYCjjfpGl+TQq0TfRX0OrLOHFMTc71+BgVMd9o08/ThfiuJS`,
		"ssha512":           `{SSHA512}2XrUjuz94MABAtnuQXD6u2wVVdT8SMDsdRKhubfnLLgdMMYyFNfZcErmae3dz7EZEM7tAjntRVe1pgIiCJjT68Yg0kc=`,
		"smd5":              `{SMD5}b6ugKHY0/w9aCIh5AQvaZ/5RKHU=`,
		"sha":               `{SHA}00hq6RNueFa8QiEjhep5cJRHWAI=`,
		"sha256":            `{SHA256}wFNeS+K3n/2TKRMFQ2v4iTFOSj+uwF7P/Lt98xrZ5Ro=`,
		"sha256 hex":        `{SHA256.HEX}c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a`,
		"sha512 b64":        `{SHA512.B64}9s3ioPgZMUzd5V/CJ9jX2uPSjMVWIioKitZtkcytSq1glPUXohgjYMmqz2o9wyMWLLb9jN/+2w/gOPVehf+1tg==`,
		"ldap-md5":          `{LDAP-MD5}hvsmnRkNLIX24EaM7KQqIA==`,
		"plain-md5":         `{PLAIN-MD5}86fb269d190d2c85f6e0468ceca42a20`,
		"plain":             `{PLAIN}Hello world!`,
	}
}

func TestMatchFormsOfOthers(t *testing.T) {
	for name, form := range stored() {
		for plain, want := range map[string]bool{"Hello world!": true, "hello world!": false, "": false} {
			if strings.HasPrefix(form, "{ARGON2") && !want {
				continue // Dovecot's take four times the memory of ours: the right one will do
			}
			got, err := password.Match(form, []byte(plain))
			if err != nil || got != want {
				t.Errorf("%s: %q: %v, %v; want %v", name, plain, got, err, want)
			}
		}
		if err := password.Check(form); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := password.IsPlain(form); got != (name == "plain") {
			t.Errorf("%s: plain %v", name, got)
		}
	}
}

func TestHashIsOwnForm(t *testing.T) {
	form, err := password.Hash([]byte("correct horse"))
	if err != nil || !strings.HasPrefix(form, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q, %v", form, err)
	}
	again, err := password.Hash([]byte("correct horse"))
	if err != nil || again == form {
		t.Errorf("two hashes with one salt, %v", err)
	}
	for plain, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if got, err := password.Match(form, []byte(plain)); got != want || err != nil {
			t.Errorf("%q: %v, %v", plain, got, err)
		}
	}
	if password.IsFast(form) || !password.IsFast("{SSHA}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O") {
		t.Error("slow and fast are mixed up")
	}
	for _, plain := range []string{"", strings.Repeat("x", password.MaxBytes+1)} {
		if _, err := password.Hash([]byte(plain)); !errors.Is(err, password.ErrLong) {
			t.Errorf("%d octets: %v", len(plain), err)
		}
	}
	if ok, err := password.Match(password.Dummy(), []byte("")); ok || err != nil {
		t.Errorf("the dummy: %v, %v", ok, err)
	}
}

func TestCheckRefuses(t *testing.T) {
	for form, want := range map[string]error{
		"":                                      password.ErrForm,
		"x":                                     password.ErrForm,
		"*":                                     password.ErrForm,
		"abJnggxhB/yWI":                         password.ErrForm, // DES crypt
		"{PLAIN}":                               password.ErrForm,
		"{NONE}x":                               password.ErrForm,
		"{SSHA":                                 password.ErrForm,
		"{SSHA}00hq6RNueFa8QiEjhep5cJRHWAI=":    password.ErrForm, // no salt
		"{SHA}pc/kKp6Sxmc9+IWdDl/2Ed3NnlDIdJ2O": password.ErrForm, // too much
		"$apr1$abcdefgh$abcdefghijklmnopqrstuv": password.ErrForm,
		"$2y$05$short":                          password.ErrForm,
		"$2y$31$m1ylHV17WxahnLy546nd6e9VRRhm/WJzG.pKjvkMzzaFXo.UEy9sy":                                                                                password.ErrCost,
		"$argon2id$v=19$m=4194304,t=3,p=1$RVmu7r+XxucC4os6FUaBuA$I+qc2dGHfOGweYezsP3lH9t8aJpxvy7/mHVx8uF8GfQ":                                         password.ErrCost,
		"$argon2id$v=19$m=65536,t=1000,p=1$RVmu7r+XxucC4os6FUaBuA$I+qc2dGHfOGweYezsP3lH9t8aJpxvy7/mHVx8uF8GfQ":                                        password.ErrCost,
		"$argon2id$v=19$m=65536,t=0,p=1$RVmu7r+XxucC4os6FUaBuA$I+qc2dGHfOGweYezsP3lH9t8aJpxvy7/mHVx8uF8GfQ":                                           password.ErrForm,
		"$argon2id$v=16$m=65536,t=3,p=1$RVmu7r+XxucC4os6FUaBuA$I+qc2dGHfOGweYezsP3lH9t8aJpxvy7/mHVx8uF8GfQ":                                           password.ErrForm,
		"$6$rounds=999999999$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1":                       password.ErrCost,
		"$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$StE6oYRIyr5D0NGwHkrJu5DKEIuMHEfyRAf4ZbJXvaE":                                                    password.ErrCost,
		"{PBKDF2}$1$i3.90PnWVR6LDavP$500000000$2496c7372a37883559097bc95a8abf96d695f251":                                                              password.ErrCost,
		"{SCRAM-SHA-256}500000000,a0PfGG5XX4PhhZkxkldIOg==,5Dov07o2uDHwW6GNsvSCKHOSt1tf0riCek9Xoo/p0wc=,8dRw9wT6FkGJKH/xsnm3jhcnylySd+RCHl7j199+42M=": password.ErrCost,
	} {
		if err := password.Check(form); !errors.Is(err, want) {
			t.Errorf("%.60s: %v, want %v", form, err, want)
		}
		if ok, err := password.Match(form, []byte("x")); ok || err == nil {
			t.Errorf("%.60s: matched: %v, %v", form, ok, err)
		}
	}
}

func TestScram(t *testing.T) {
	s, err := password.NewScram([]byte("pencil"), nil)
	if err != nil || s.Iterations != password.ScramIterations || len(s.Salt) != 16 {
		t.Fatalf("%+v, %v", s, err)
	}
	back, err := password.ParseScram(s.String())
	if err != nil || back.String() != s.String() {
		t.Fatalf("%v, %v", back, err)
	}
	for plain, want := range map[string]bool{"pencil": true, "pen": false, "": false} {
		if ok, err := back.Match([]byte(plain)); ok != want || err != nil {
			t.Errorf("%q: %v, %v", plain, ok, err)
		}
	}
	// What SASLprep refuses is taken as it is.
	if _, err := password.NewScram([]byte("snow\U0001f3d4man"), nil); err != nil {
		t.Error(err)
	}
	other, err := password.NewScramOf([]byte("second"), s)
	if err != nil || string(other.Salt) != string(s.Salt) || string(other.StoredKey) == string(s.StoredKey) {
		t.Errorf("%+v, %v", other, err)
	}
}

func TestKind(t *testing.T) {
	for form, want := range map[string]string{password.Dummy(): "argon2id", "{SSHA}x": "SSHA", "$2y$05$x": "2y", "": "", "x": ""} {
		if got := password.Kind(form); got != want {
			t.Errorf("%q: %q, want %q", form, got, want)
		}
	}
}

// A stored form comes from files and databases of others: whatever it is, it is
// read or refused, and costs no more than the bounds.
func FuzzCheck(f *testing.F) {
	for _, form := range stored() {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		err := password.Check(form)
		if err != nil && !errors.Is(err, password.ErrForm) && !errors.Is(err, password.ErrCost) {
			t.Errorf("%q: %v", form, err)
		}
		if password.IsPlain(form) && err != nil {
			t.Errorf("%q: plain, and refused", form)
		}
	})
}

package classify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/classify"
)

func reply(t *testing.T, line string) mail.Status {
	t.Helper()
	s, err := classify.ParseReply(line)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func table(t *testing.T, rules ...classify.Rule) *classify.Table {
	t.Helper()
	c, err := classify.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Without any rule the codes decide.
func TestCodes(t *testing.T) {
	tests := []struct {
		reply string
		class mail.Class
	}{
		{"250 2.0.0 fine", mail.ClassNone},
		{"550 5.1.1 spam is blocked by policy", mail.ClassNoUser},
		{"450 4.1.8 sender's domain not found", mail.ClassPolicy},
		{"452 4.2.2 full", mail.ClassMailboxFull},
		{"552 5.2.2 full", mail.ClassMailboxFull},
		{"552 5.3.4 large", mail.ClassSize},
		{"452 4.3.1 no space", mail.ClassRate},
		{"421 4.3.2 busy", mail.ClassConnection},
		{"421 4.4.2 idle", mail.ClassTimeout},
		{"421 bye", mail.ClassConnection},
		{"421 4.7.99 what", mail.ClassRate},
		{"450 4.7.99 what", mail.ClassPolicy},
		{"550 5.7.26 unauthenticated", mail.ClassPolicy},
		{"550 5.7.25 no reverse DNS", mail.ClassReputation},
		{"450 4.7.28 flood", mail.ClassRate},
		{"550 5.7.10 encrypt", mail.ClassTLS},
		{"535 5.7.8 login", mail.ClassAuth},
		{"530 log in", mail.ClassAuth},
		{"454 no TLS", mail.ClassTLS},
		{"501 5.5.4 parameter", mail.ClassProtocol},
		{"521 no mail here", mail.ClassRelayDenied},
		{"550 something", mail.ClassOther},
		{"450 something", mail.ClassOther},
		{"450 4.0.0 something", mail.ClassOther},
	}
	var c classify.Table
	for _, tt := range tests {
		s := reply(t, tt.reply)
		v := c.Classify(s, "", false)
		if v.Class != tt.class || v.Action != classify.Keep || v.Rule != "" {
			t.Errorf("%s: %+v, want %v", tt.reply, v, tt.class)
		}
		if v.Permanent(s) != s.Permanent() {
			t.Errorf("%s: permanent is %v", tt.reply, v.Permanent(s))
		}
	}
}

// What we made up ourselves is told by its code, whatever its words are.
func TestOwn(t *testing.T) {
	tests := []struct {
		reply string
		class mail.Class
	}{
		{"451 4.4.1 no answer from the next hop", mail.ClassConnection},
		{"451 4.4.2 connection to the next hop lost", mail.ClassConnection},
		{"451 4.4.2 the next hop did not answer in time", mail.ClassTimeout},
		{"451 4.4.3 name server failure", mail.ClassDNS},
		{"556 5.1.10 takes no mail", mail.ClassDNS},
		{"550 5.1.2 no such domain, user unknown", mail.ClassDNS},
		{"554 5.4.6 loop", mail.ClassPolicy},
		{"451 4.5.0 protocol", mail.ClassProtocol},
		{"451 4.7.5 certificate", mail.ClassTLS},
		{"451 4.7.10 encryption needed", mail.ClassTLS},
		{"535 5.7.8 login refused", mail.ClassAuth},
		{"552 5.3.4 larger", mail.ClassSize},
		{"550 5.6.7 needs SMTPUTF8", mail.ClassPolicy},
		{"451 4.3.0 damaged", mail.ClassOther},
	}
	c := table(t, classify.Rule{Name: "all", Enhanced: []string{"*"}, Class: mail.ClassContent, Action: classify.Later})
	for _, tt := range tests {
		if v := c.Classify(reply(t, tt.reply), "", true); v != (classify.Verdict{Class: tt.class}) {
			t.Errorf("%s: %+v, want %v", tt.reply, v, tt.class)
		}
	}
}

// Covers B4, B5.
func TestRules(t *testing.T) {
	c := table(t,
		classify.Rule{Name: "tss04", Codes: []string{"421"}, Enhanced: []string{"4.7.0"}, Pattern: `\[TSS0[45]\]`, Class: mail.ClassRate},
		classify.Rule{Name: "tss09", Codes: []string{"4xx"}, Enhanced: []string{"*"}, Pattern: `\[TSS(09|11)\]`, Class: mail.ClassReputation, Action: classify.Never},
		classify.Rule{Name: "frequency", Provider: "qq", Codes: []string{"550"}, Pattern: `connection frequency limited`, Class: mail.ClassRate, Action: classify.Later},
		classify.Rule{Name: "spam", Pattern: `\bspam\b|virus`, Class: mail.ClassContent},
		classify.Rule{Name: "short", Codes: []string{"45x"}, Pattern: `^x`, Class: mail.ClassPolicy},
		classify.Rule{Name: "blind", Codes: []string{"570"}, Action: classify.Later},
	)
	tests := []struct {
		reply, provider, rule string
		class                 mail.Class
		permanent             bool
	}{
		{"421 4.7.0 [tss04] deferred", "", "tss04", mail.ClassRate, false},
		{"421 4.7.0 [TSS06] deferred", "", "", mail.ClassRate, false},
		{"421 4.7.1 [TSS09] never again", "", "tss09", mail.ClassReputation, true},
		{"550 Connection frequency limited", "qq", "frequency", mail.ClassRate, false},
		{"550 Connection frequency limited", "", "", mail.ClassOther, true},
		{"550 5.1.1 spam@example.org is unknown", "", "", mail.ClassNoUser, true},
		{"550 5.7.1 looks like SPAM", "", "spam", mail.ClassContent, true},
		{"550 looks like spammer", "", "", mail.ClassOther, true},
		{"554 a Virus was found", "", "spam", mail.ClassContent, true},
		{"450 X", "", "short", mail.ClassPolicy, false},
		{"550 X", "", "", mail.ClassOther, true},
		{"570 5.0.0 anything", "", "blind", mail.ClassOther, false},
		{"570 5.7.8 anything", "", "", mail.ClassAuth, true},
		{"550 " + strings.Repeat("a ", 256) + "spam", "", "", mail.ClassOther, true},
	}
	for _, tt := range tests {
		s := reply(t, tt.reply)
		v := c.Classify(s, tt.provider, false)
		if v.Rule != tt.rule || v.Class != tt.class || v.Permanent(s) != tt.permanent {
			t.Errorf("%.60s: %+v permanent %v, want %+v", tt.reply, v, v.Permanent(s), tt)
		}
	}
}

func TestWrongRules(t *testing.T) {
	good := classify.Rule{Name: "r", Class: mail.ClassOther}
	for _, change := range []func(*classify.Rule){
		func(r *classify.Rule) { r.Name = "" },
		func(r *classify.Rule) { r.Codes = []string{"250"} },
		func(r *classify.Rule) { r.Codes = []string{"4xxx"} },
		func(r *classify.Rule) { r.Codes = []string{"4?1"} },
		func(r *classify.Rule) { r.Enhanced = []string{"2.0.0"} },
		func(r *classify.Rule) { r.Enhanced = []string{"*.1.1"} },
		func(r *classify.Rule) { r.Enhanced = []string{"5.1"} },
		func(r *classify.Rule) { r.Enhanced = []string{"5.1000.1"} },
		func(r *classify.Rule) { r.Pattern = "(" },
		func(r *classify.Rule) { r.Pattern = "(spam|junk) .{0,900}x" },
		func(r *classify.Rule) { r.Pattern = strings.Repeat("a", 2001) },
		func(r *classify.Rule) { r.Class = mail.NumClasses },
		func(r *classify.Rule) { r.Action = 9 },
	} {
		bad := good
		change(&bad)
		_, err := classify.New([]classify.Rule{good, bad})
		var re *classify.RuleError
		if !errors.As(err, &re) || re.Index != 1 {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := classify.New(make([]classify.Rule, classify.MaxRules+1)); err == nil {
		t.Error("too many rules were taken")
	}
}

func TestVerify(t *testing.T) {
	c := table(t,
		classify.Rule{Name: "a", Pattern: "alpha", Examples: []string{"550 alpha"}},
		classify.Rule{Name: "b", Pattern: "alpha|beta", Examples: []string{"550 beta", "550 alpha and beta"}},
		classify.Rule{Name: "c", Pattern: "gamma", Examples: []string{"nothing", "550 5.1.1 gamma"}},
	)
	err := c.Verify()
	if err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), `"550 alpha and beta" is taken by rule "a"`) {
		t.Errorf("%v", err)
	}
}

// The words that are looked for before a pattern is run never hide a match.
func FuzzClassify(f *testing.F) {
	patterns := []string{`\bspam\b|virus`, `too many (connections|messages)`, `a+b{2,}c?defg`, `[T04]xyz`, `(foo|ba)rrr`, `grey|gray ?list`, `ſtraße`, `x`}
	var rules []classify.Rule
	for _, p := range patterns {
		rules = append(rules, classify.Rule{Name: p, Pattern: p, Class: mail.ClassPolicy})
	}
	all, err := classify.New(rules)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("this is SPAM"), uint16(550))
	f.Add([]byte("too many messages aabbdefg barrr"), uint16(421))
	f.Add([]byte("we greylist x"), uint16(450))
	f.Fuzz(func(t *testing.T, text []byte, code uint16) {
		s := mail.Status{Code: 400 + code%200, Text: text}
		v := all.Classify(s, "", false)
		if want := plainly(patterns, text); v.Rule != want {
			t.Fatalf("%q: rule %q, want %q", text, v.Rule, want)
		}
	})
}

// A pattern means what RE2 says, however it is parted and whatever words it is
// looked for by.
func FuzzPattern(f *testing.F) {
	f.Add(`\bspam\b|virus`, []byte("a VIRUS"))
	f.Add(`(a|b)c|[|)(]x|\|y|[]|]z|[^]|]q`, []byte("|y"))
	f.Add(`(?i:ab|cd)|ef`, []byte("cd"))
	f.Add(`^abc|def$`, []byte("xdef"))
	f.Add(`\Qa|b\E|cde`, []byte("a|b"))
	f.Add(`[[:alpha:]|]9|xyz`, []byte("a9"))
	f.Add(``, []byte(""))
	f.Fuzz(func(t *testing.T, pattern string, text []byte) {
		c, err := classify.New([]classify.Rule{{Name: "r", Pattern: pattern, Class: mail.ClassPolicy}})
		if err != nil || pattern == "" {
			return
		}
		for _, b := range text {
			if b >= 0x80 {
				return // letters beyond ASCII that fold to one of ASCII are not known
			}
		}
		v := c.Classify(mail.Status{Code: 550, Text: text}, "", false)
		if want := plainly([]string{pattern}, text) != ""; (v.Rule != "") != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, text, v.Rule != "", want)
		}
	})
}

// A text that is made of the words of all patterns costs no more than a bound, and
// its codes decide.
func TestManyWords(t *testing.T) {
	var rules []classify.Rule
	for i := range 100 {
		rules = append(rules, classify.Rule{Name: fmt.Sprint("r", i), Pattern: fmt.Sprintf("word%02d never", i), Class: mail.ClassPolicy})
	}
	rules = append(rules, classify.Rule{Name: "last", Pattern: "w.rd00", Class: mail.ClassContent})
	c := table(t, rules...)
	if v := c.Classify(reply(t, "550 word00 word01"), "", false); v.Rule != "last" {
		t.Errorf("%+v", v)
	}
	text := "550 neve never"
	for i := range 60 {
		text += fmt.Sprintf(" word%02d", i)
	}
	if v := c.Classify(reply(t, text), "", false); v.Rule != "last" { // literals are not run
		t.Errorf("%+v", v)
	}
	for i := range rules[:100] {
		rules[i].Pattern = fmt.Sprintf("word%02d .*nevermore", i)
	}
	c = table(t, rules...)
	if v := c.Classify(reply(t, text+" nevermor nevermore"), "", false); v.Rule != "r0" {
		t.Errorf("%+v", v)
	}
	for i := range rules[:100] {
		rules[i].Pattern = fmt.Sprintf("word%02d [0-9]+ never", i)
	}
	c = table(t, rules...)
	if v := c.Classify(reply(t, text), "", false); v.Rule != "" || v.Class != mail.ClassOther {
		t.Errorf("%+v", v)
	}
}

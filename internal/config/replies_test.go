package config_test

import (
	"strings"
	"testing"

	"postrider/internal/config"
	"postrider/internal/mail"
	"postrider/relay/classify"
)

// Every example of the shipped rules is taken by its rule, and each rule has one.
// Covers B4, B5.
func TestShippedReplies(t *testing.T) {
	if _, err := config.LoadReplies(""); err != nil {
		t.Fatal(err)
	}
	rules, err := config.ParseReplies("none", []byte("shipped = true\n"))
	if err != nil || len(rules) < 80 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	for _, r := range rules {
		if len(r.Examples) == 0 {
			t.Errorf("rule %s has no example", r.Name)
		}
	}
}

// Replies as they are met, some of which no rule was written for.
// Covers B4, B5, Q10.
func TestRepliesInTheWild(t *testing.T) {
	table, err := config.LoadReplies("")
	if err != nil {
		t.Fatal(err)
	}
	const later, never = false, true
	tests := []struct {
		reply, provider string
		class           mail.Class
		permanent       bool
	}{
		{"550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown in local recipient table", "", mail.ClassNoUser, never},
		{"550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the address - gsmtp", "google", mail.ClassNoUser, never},
		{"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "microsoft", mail.ClassNoUser, never},
		{"554 5.7.1 <spam@example.net>: Recipient address rejected: Access denied", "", mail.ClassPolicy, never},
		{"451 4.7.1 <x@example.net>: Recipient address rejected: Greylisted for 5 minutes", "", mail.ClassGreylist, later},
		{"450 4.7.1 <x@example.net>: Recipient address rejected: Service is unavailable, try again in 300 s", "", mail.ClassGreylist, later},
		{"452 4.2.2 The email account that you tried to reach is over quota", "google", mail.ClassMailboxFull, later},
		{"552 5.2.2 Mailbox size limit exceeded", "", mail.ClassMailboxFull, never},
		{"554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", "microsoft", mail.ClassMailboxFull, never},
		{"421 4.7.0 Try again later, closing connection.", "google", mail.ClassConnection, later},
		{"421 4.4.2 mx.example.net Error: timeout exceeded", "", mail.ClassTimeout, later},
		{"421 4.7.0 mx.example.net Error: too many errors", "", mail.ClassRate, later},
		{"421 Service not available", "", mail.ClassConnection, later},
		{"450 4.3.2 Service currently unavailable", "", mail.ClassConnection, later},
		{"452 4.3.1 Insufficient system storage", "", mail.ClassRate, later},
		{"552 5.3.4 Message size exceeds fixed limit", "", mail.ClassSize, never},
		{"550 5.7.1 Message contains a virus", "", mail.ClassContent, never},
		{"550 5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers", "google", mail.ClassPolicy, never},
		{"550 5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy", "google", mail.ClassPolicy, never},
		{"550 5.7.23 The message was rejected because of Sender Policy Framework violation", "microsoft", mail.ClassPolicy, never},
		{"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using b.barracudacentral.org", "", mail.ClassReputation, never},
		{"421 4.7.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org", "", mail.ClassReputation, later},
		{"550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal visit https://sender.office.com/", "microsoft", mail.ClassReputation, never},
		{"450 4.1.1 <x@example.net>: Recipient address rejected: unverified address: Address lookup failed", "", mail.ClassNoUser, later},
		{"450 4.1.2 <x@example.net>: Recipient address rejected: Domain not found", "", mail.ClassNoUser, later},
		{"450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", "", mail.ClassReputation, later},
		{"454 4.7.1 <x@example.net>: Relay access denied", "", mail.ClassRelayDenied, later},
		{"553 5.3.0 <x@example.net>... User unknown", "", mail.ClassNoUser, never},
		{"550 5.7.1 Unable to relay for x@example.net", "", mail.ClassRelayDenied, never},
		{"530 5.7.0 Authentication required", "", mail.ClassAuth, never},
		{"535 5.7.8 Error: authentication failed: bad password", "", mail.ClassAuth, never},
		{"503 5.5.1 Error: nested MAIL command", "", mail.ClassProtocol, never},
		{"554 5.4.6 Too many hops", "", mail.ClassPolicy, never},
		{"550 Blocked", "", mail.ClassOther, never},
		{"451 Requested action aborted: local error in processing", "", mail.ClassOther, later},
		{"451 4.3.0 <x@example.net>: Temporary lookup failure", "", mail.ClassOther, later},
		{"550 Connection frequency limited", "qq", mail.ClassRate, later},
		{"421 4.7.1 [TSS09] All messages from 192.0.2.1 will be permanently deferred", "yahoo", mail.ClassReputation, never},
		{"451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719) [X.prod.protection.outlook.com]", "microsoft", mail.ClassRate, later},
		{"554 gmx.net (mxgmx104) Nemesis ESMTP Service not available No SMTP service IP address is block listed.", "gmx", mail.ClassReputation, never},
		{"452 4.5.3 Your message has too many recipients", "google", mail.ClassPolicy, later},
		{"550 5.0.350 Remote server returned an error -> 550 5.1.1 user unknown", "", mail.ClassNoUser, never},
		{"571 5.7.1 Delivery not authorized", "", mail.ClassPolicy, never},
		{"550 Przykro nam", "", mail.ClassOther, never},
		{"504 5.5.2 <x>: Recipient address rejected: need fully-qualified address", "", mail.ClassProtocol, never},
		{"451 4.3.0 <x@example.net>: Recipient address rejected: database not available", "", mail.ClassOther, later},
		{"550 Mailbox <x@example.net> does not exist", "", mail.ClassNoUser, never},
		{"421 4.7.1 Messages to x@icloud.com deferred due to excessive volume. Try again later", "apple", mail.ClassOther, later},
		{"451 4.5.0 SMTP protocol violation, see RFC 2821", "google", mail.ClassProtocol, later},
		{"451 4.7.5 certificate does not match", "", mail.ClassTLS, later},
		{"499 what is this", "", mail.ClassOther, later},
	}
	for _, tt := range tests {
		s, err := classify.ParseReply(tt.reply)
		if err != nil {
			t.Fatal(err)
		}
		v := table.Classify(s, tt.provider, false)
		if v.Class != tt.class || v.Permanent(s) != tt.permanent {
			t.Errorf("%s: %v by %q, permanent %v; want %v, %v", tt.reply, v.Class, v.Rule, v.Permanent(s), tt.class, tt.permanent)
		}
	}
}

func TestReplyFileErrors(t *testing.T) {
	const rule = "[[rule]]\nname = \"a\"\n"
	tests := []struct{ text, want string }{
		{"[[rule]]\nclass = \"policy\"\npattern = \"x\"\n", "f.toml:1:3: a rule without a name"},
		{rule + "class = \"polcy\"\npattern = \"x\"\n", `f.toml:3:9: "polcy" is not allowed here; did you mean "policy"?`},
		{rule + "class = \"policy\"\npattern = \"(\"\n", "f.toml:4:11: "},
		{rule + "class = \"policy\"\ncodes = [\"421\", \"2xx\"]\n", `f.toml:4:17: "2xx" is not a code`},
		{rule + "class = \"policy\"\nenhanced = [\"5.7\"]\n", `f.toml:4:13: "5.7" is not an enhanced code`},
		{rule + "class = \"policy\"\naction = \"maybe\"\ncodes = [\"5xx\"]\n", `f.toml:4:10: "maybe" is not allowed here`},
		{rule + "pattern = \"x\"\n", "f.toml:1:3: a rule that says nothing"},
		{rule + "class = \"policy\"\n", "f.toml:1:3: a rule that every reply fits"},
		{rule + "class = \"policy\"\npatern = \"x\"\n", `f.toml:4:1: unknown key "patern" in [[rule]]; did you mean "pattern"?`},
		{rule + "class = \"policy\"\npattern = \"x\"\n" + rule + "class = \"policy\"\npattern = \"y\"\n", "f.toml:6:8: another rule has the name a"},
		{rule + "class = \"policy\"\npattern = \"xyz\"\nexamples = [\"550 abc\"]\n", `f.toml:5:1: rule "a": the example "550 abc" is taken by`},
		{rule + "class = \"policy\"\npattern = \"xyz\"\nexamples = [\"xyz\"]\n", `f.toml:5:13: "xyz" does not begin with a basic code`},
		{"rules = 1\n", `f.toml:1:1: unknown key "rules" at the top level; did you mean "rule"?`},
		{"shipped = 1\n", "f.toml:1:11: want true or false"},
		{"rule = 1\n", "f.toml:1:8: \"rule\" may be repeated"},
		{"rule = [1]\n", "f.toml:1:9: \"rule\" holds tables"},
		{"[[rule]\n", "f.toml:1:"},
	}
	for _, tt := range tests {
		_, err := config.ParseReplies("f.toml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

// An operator's rules come before the shipped ones, or take their place.
func TestOwnReplies(t *testing.T) {
	const own = "[[rule]]\nname = \"mine\"\nenhanced = [\"*\"]\npattern = \"user unknown\"\nclass = \"other\"\naction = \"later\"\n"
	shipped, err := config.ParseReplies("f.toml", []byte("shipped = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := config.ParseReplies("f.toml", []byte(own))
	if err != nil || len(rules) != len(shipped)+1 || rules[0].Name != "mine" {
		t.Errorf("%d rules, %v", len(rules), err)
	}
	rules, err = config.ParseReplies("f.toml", []byte("shipped = false\n"+own))
	if err != nil || len(rules) != 1 {
		t.Errorf("%d rules, %v", len(rules), err)
	}
	if _, err := config.LoadReplies("/nowhere/f.toml"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzReplyFile(f *testing.F) {
	f.Add([]byte("[[rule]]\nname = \"a\"\npattern = \"x\"\nclass = \"policy\"\nexamples = [\"550 x\"]\n"))
	f.Add([]byte("shipped = false\nrule = [{name = \"a\", codes = [\"4xx\"], action = \"never\"}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rules, err := config.ParseReplies("f.toml", append([]byte("shipped = false\n"), text...))
		if err != nil {
			return
		}
		if _, err := classify.New(rules); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

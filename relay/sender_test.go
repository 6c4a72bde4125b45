package relay

import (
	"strings"
	"testing"

	"postrider/relay/smtpd"
)

// MAIL FROM must be the login's: its address, also with a detail, what its entry
// names, or the null one.
//
// Covers A8.
func TestSendersOfALogin(t *testing.T) {
	f := newOffice(t, true, asSubmission)
	for _, c := range []struct {
		user, from string
		code       string
	}{
		{"alice", "alice@here.example", "250"},
		{"alice@here.example", "ALICE@Here.Example", "250"},
		{"alice", "alice+news@here.example", "250"},
		{"alice", `"alice+a b"@here.example`, "553"}, // details of names that need quotes are not taken apart
		{"alice", "info@here.example", "250"},
		{"alice", "info+x@here.example", "250"},
		{"alice", "anyone@alice.example", "250"},
		{"alice", "", "250"},
		{"alice", "bob@here.example", "553"},
		{"alice", "a@sub.alice.example", "553"},
		{"alice", "alice@elsewhere.example", "553"},
		{"alice", "+alice@here.example", "553"},
		{"alice", "bob+alice@here.example", "553"},
		{"alice", `"alice@here.example"@elsewhere.example`, "553"},
		{"alice", "alice%here.example@elsewhere.example", "553"},
		{"bob", "info@here.example", "553"},
	} {
		said := f.converse(c.user, "MAIL FROM:<"+c.from+">", "RSET", "NOOP")
		if said[0][:3] != c.code || c.code == "553" && !strings.HasPrefix(said[0], "553 5.7.1 ") || said[2][:3] != "250" {
			t.Errorf("%s as <%s>: %q, want %s", c.user, c.from, said, c.code)
		}
	}
	f.rules(true, Submission{})
	if said := f.converse("alice", "MAIL FROM:<bob@here.example>"); said[0][:3] != "250" {
		t.Errorf("without the check: %q", said)
	}
	f.rules(true, Submission{CheckSender: true})
	if said := f.converse("alice", "MAIL FROM:<alice+news@here.example>", "MAIL FROM:<alice@here.example>"); said[0][:3] != "553" || said[1][:3] != "250" {
		t.Errorf("without details: %q", said)
	}
}

// Who may send whither, at a relay and at a submission server, from networks that may
// relay and from others, with a login and without.
//
// Covers A1, A8, R12.
func TestRelayingAfterALogin(t *testing.T) {
	for _, c := range []struct {
		name               string
		trusted            bool
		handler            func(*Engine) smtpd.Handler
		user, from, to     string
		mailCode, rcptCode string
	}{
		{"a stranger at the relay", false, asRelay, "", "a@b.example", "u@far.example", "250", "550"},
		{"a stranger to us", false, asRelay, "", "a@b.example", "u@x.example", "250", "250"},
		{"a user at the relay", false, asRelay, "alice", "alice@here.example", "u@far.example", "250", "250"},
		{"a user at the relay as another", false, asRelay, "alice", "bob@here.example", "u@far.example", "553", "503"},
		{"a friend at the relay", true, asRelay, "", "a@b.example", "u@far.example", "250", "250"},
		{"a user among friends", true, asRelay, "alice", "bob@here.example", "u@far.example", "250", "250"},
		{"a stranger at submission", false, asSubmission, "", "a@b.example", "u@x.example", "530", "530"},
		{"a friend at submission", true, asSubmission, "", "a@b.example", "u@x.example", "530", "530"},
		{"a user at submission", false, asSubmission, "alice", "alice@here.example", "u@far.example", "250", "250"},
		{"a user with a daisy chain", false, asSubmission, "alice", "alice@here.example", "u%far.example@x.example", "250", "250"},
		{"a stranger with a daisy chain", false, asRelay, "", "a@b.example", "u%far.example@x.example", "250", "550"},
		{"a user at submission as another", true, asSubmission, "alice", "bob@here.example", "u@far.example", "553", "503"},
	} {
		f := newOffice(t, c.trusted, c.handler)
		said := f.converse(c.user, "MAIL FROM:<"+c.from+">", "RCPT TO:<"+c.to+">")
		if said[0][:3] != c.mailCode || said[1][:3] != c.rcptCode {
			t.Errorf("%s: %q, want %s and %s", c.name, said, c.mailCode, c.rcptCode)
		}
	}
}

// What leaves was mended on its way through a submission server and has the login in
// its envelope; a relay leaves texts alone.
//
// Covers R24, A8, R12.
func TestTextsOfALogin(t *testing.T) {
	f := newOffice(t, false, asSubmission)
	send := func(user, text string) string {
		t.Helper()
		return f.converse(user, "MAIL FROM:<alice+a@here.example>", "RCPT TO:<u@far.example>", ":"+text)[2]
	}
	if got := send("alice", "Subject: a\nlast: b\r\rtext\nmore"); got[:3] != "250" {
		t.Fatal(got)
	}
	m := f.wait()
	if m.sender != "alice+a@here.example" || m.user != "alice@here.example" {
		t.Errorf("left as %q of %q", m.sender, m.user)
	}
	head, rest, _ := strings.Cut(m.text, "Subject: ")
	if !strings.Contains(head, "from client.example ([127.0.0.1])\r\n") || !strings.Contains(head, "with ESMTPA id ") {
		t.Errorf("received: %q", head)
	}
	lines := strings.Split(rest, "\r\n")
	if len(lines) != 9 || lines[0] != "a" || lines[1] != "last: b" || !strings.HasPrefix(lines[2], "Date: ") || lines[3] != "From: alice+a@here.example" ||
		!strings.HasPrefix(lines[4], "Message-ID: <") || !strings.HasSuffix(lines[4], "@mx.example>") || lines[5] != "" || lines[6] != "text" || lines[7] != "more" {
		t.Errorf("text: %q", lines)
	}
	for text, code := range map[string]string{
		"From: Alice <alice+b@here.example>\r\nSubject: x\r\n\r\nx":         "250",
		"From: info@here.example, x@alice.example\r\n\r\nx":                 "250",
		"From: bob@here.example\r\n\r\nx":                                   "550",
		"From: alice@here.example\r\nFrom: bob@here.example\r\n\r\nx":       "550",
		"From: alice@here.example\r\nSender: bob@here.example":              "550",
		"Subject: x\r\nFrom: alice@here.example\r\n\r\nFrom: bob@x.example": "250",
		"From: alice@here.example <":                                        "550",
	} {
		got := send("alice", text)
		if got[:3] != code || code == "550" && !strings.HasPrefix(got, "550 5.7.1 ") {
			t.Errorf("%q: %s, want %s", text, got, code)
		}
		if code == "250" {
			if m := f.wait(); !strings.Contains(m.text, text) && !strings.Contains(m.text, "Date: ") {
				t.Errorf("left %q", m.text)
			}
		}
	}
	f.rules(false, Submission{HideClient: true})
	if got := send("bob", "From: anyone@x.example\r\n\r\n."); got[:3] != "250" {
		t.Error(got)
	}
	if m := f.wait(); strings.Contains(m.text, "client.example") || strings.Contains(m.text, "127.0.0.1") || !strings.HasPrefix(m.text, "Received: by mx.example with ESMTPA id ") {
		t.Errorf("left %q", m.text)
	}
	f = newOffice(t, true, asRelay)
	if got := send("", "Subject: a"); got[:3] != "250" {
		t.Error(got)
	}
	if m := f.wait(); !strings.HasSuffix(m.text, "\r\nSubject: a\r\n") || m.user != "" {
		t.Errorf("a relay changed a text: %q", m.text)
	}
}

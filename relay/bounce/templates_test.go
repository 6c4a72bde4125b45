package bounce_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"postrider/internal/mail"
	"postrider/relay/bounce"
)

func folder(files ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return m
}

// The built-in words tell for each class what is wrong and what to do.
// Covers B10.
func TestWords(t *testing.T) {
	reasons := map[string]mail.Class{}
	for c := mail.ClassOther; c < mail.NumClasses; c++ {
		n := notice(bounce.Failure, "a@example.org", "b@example.net")
		n.Recipients[0].Class = c
		r, _, _ := compose(t, n)
		_, told, ok := strings.Cut(r.text, "<b@example.net>\r\n")
		told, _, ok2 := strings.Cut(told, "\r\n\r\n    The server mx.example.net answered:\r\n        550 5.1.1 no such user\r\n")
		if !ok || !ok2 || strings.Count(told, ".") < 2 {
			t.Errorf("%v:\n%s", c, r.text)
		}
		if other, twice := reasons[told]; twice {
			t.Errorf("%v and %v have the same words", c, other)
		}
		reasons[told] = c
		for line := range strings.SplitSeq(r.text, "\r\n") {
			if len(line) > 78 {
				t.Errorf("%v: a line of %d columns: %s", c, len(line), line)
			}
		}
		if !strings.Contains(r.text, "<postmaster@relay.example>") {
			t.Errorf("%v names nobody to ask", c)
		}
	}
}

// A person sees the subject, the address that was written to, and no control
// characters.
// Covers B10.
func TestWordsAboutMessage(t *testing.T) {
	n := notice(bounce.Failure, "a@example.org", "b@example.net")
	n.Original = original("subject:\r\n =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\tan alle\r\n\r\n")
	env(n).Recipients[0].Original = []byte("rfc822;list+40example.org")
	n.Recipients[0].Status.Text = []byte("no\x1b[2Jway")
	r, _, _ := compose(t, n)
	for _, want := range []string{"    Subject: Grüße an alle\r\n", "<b@example.net> (you wrote to <list@example.org>)", "550 5.1.1 no [2Jway"} {
		if !strings.Contains(r.text, want) {
			t.Errorf("%q is not in\n%s", want, r.text)
		}
	}
	if got, err := r.header.Text("Subject"); err != nil || got != "Not delivered: Grüße an alle" {
		t.Errorf("%q %v", got, err)
	}
	n.Original = nil
	n.Recipients[0].Remote = ""
	r, _, _ = compose(t, n)
	if !strings.Contains(r.text, "Subject: (none)") || !strings.Contains(r.text, "In detail:") || strings.Contains(r.text, "attached") {
		t.Errorf("%s", r.text)
	}
}

// An operator's templates, by language.
// Covers B10.
func TestOwnTemplates(t *testing.T) {
	templates, err := bounce.LoadTemplates(folder(
		"de.txt", `{{define "failure.subject"}}Nicht zugestellt: {{.Subject}}{{end}}{{define "failure"}}Hallo {{.Sender}}, für {{len .Recipients}} ging es nicht: {{range .Recipients}}{{include "reason" .}}{{end}}{{end}}{{define "reason"}}weil {{.Class}}{{end}}`,
		"pt-BR.txt", `{{define "failure"}}Olá{{end}}`,
		"en.txt", `{{define "reason"}}It did not work.{{end}}`,
		"README", "{{nonsense",
	), "")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ language, subject, text, tag string }{
		{"de", "Nicht zugestellt: hello", "Hallo a@example.org, für 1 ging es nicht: weil no_user\r\n", "de"},
		{"DE-at", "Nicht zugestellt: hello", "Hallo a@example.org, für 1 ging es nicht: weil no_user\r\n", "de"},
		{"pt-br", "Not delivered: hello", "Olá\r\n", "pt-br"},
		{"pt", "Not delivered: hello", "It did not work.", "en"},
		{"", "Not delivered: hello", "It did not work.", "en"},
	}
	for _, tt := range tests {
		n := notice(bounce.Failure, "a@example.org", "b@example.net")
		n.Templates, n.Language = templates, tt.language
		r, _, _ := compose(t, n)
		subject, err := r.header.Text("Subject")
		if err != nil || subject != tt.subject || !strings.Contains(r.text, tt.text) || r.header.Get("Content-Language") != tt.tag {
			t.Errorf("%q: %q %q in %s", tt.language, subject, r.text, r.header.Get("Content-Language"))
		}
	}
	templates, err = bounce.LoadTemplates(folder("de.txt", `{{define "failure"}}Nein{{end}}`), "de")
	if err != nil {
		t.Fatal(err)
	}
	n := notice(bounce.Failure, "a@example.org", "b@example.net")
	n.Templates = templates
	if r, _, _ := compose(t, n); r.text != "Nein\r\n" {
		t.Errorf("%q", r.text)
	}
}

func TestWrongTemplates(t *testing.T) {
	tests := []struct{ file, text, language, want string }{
		{"de.txt", "{{define \"failure\"}}\n{{.Nothing}}{{end}}", "", "de.txt: template: de:2:2:"},
		{"de.txt", `{{define "delay"}}{{range .Recipients}}{{.Foo}}{{end}}{{end}}`, "", "de.txt: template: "},
		{"de.txt", `{{define "failure"}}`, "", "de.txt: template: de:1: "},
		{"de.txt", `{{define "failure"}}{{unknown}}{{end}}`, "", `de.txt: template: de:1: function "unknown" not defined`},
		{"de.txt", `{{define "relayed.subject"}}{{include "nothing" .}}{{end}}`, "", "de.txt: template: "},
		{"_x.txt", "", "", "_x.txt: its name is not a language"},
		{"de.txt", strings.Repeat("x", 300<<10), "", "de.txt: larger than"},
		{"de.txt", "", "fr", `there are no templates for the language "fr"`},
		{"de.txt", `{{define "a"}}{{include "a" .}}{{end}}{{define "failure"}}{{include "a" .}}{{end}}`, "", "a template includes itself"},
		{"de.txt", `{{define "a"}}{{template "a" .}}{{end}}{{define "failure"}}{{template "a" .}}{{end}}`, "", "de.txt: template: "},
	}
	for _, tt := range tests {
		if _, err := bounce.LoadTemplates(folder(tt.file, tt.text), tt.language); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

// A template that fails, or writes without end, on one message alone does not keep
// its sender from being told.
func TestFailingTemplate(t *testing.T) {
	templates, err := bounce.LoadTemplates(folder(
		"de.txt", `{{define "failure"}}Anfang {{if eq .Sender "a@example.org"}}{{index .Recipients 7}}{{end}}{{end}}`,
		"fr.txt", `{{define "failure"}}{{range .Recipients}}{{printf "%100000s" "x"}}{{end}}{{end}}{{define "failure.subject"}}{{printf "%10000s" "y"}}{{end}}`,
	), "")
	if err != nil {
		t.Fatal(err)
	}
	n := notice(bounce.Failure, "a@example.org", "b@example.net")
	n.Templates, n.Language = templates, "de"
	r, _, _ := compose(t, n)
	if !strings.Contains(r.text, "There is no mailbox of that name.") || strings.Contains(r.text, "Anfang") || r.header.Get("Content-Language") != "en" {
		t.Errorf("%s", r.text)
	}
	n.Language = "fr"
	compose(t, n)
}

package bounce

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"text/template"
	"time"

	"postrider/internal/mail"
)

//go:embed en.txt
var shipped embed.FS

// Bounds of templates.
const (
	maxTemplate  = 256 << 10 // bytes of one file
	maxLanguages = 100
	maxDepth     = 1000 // includes that are open at a time, on all goroutines
)

// Templates are the words for a person in one or more languages. A file holds
// templates of text/template: one named after each kind and one with ".subject"
// behind that; each gets a Message. What a language does not define is taken from
// English.
type Templates struct {
	languages map[string]*template.Template
	fallback  string             // the language where none is asked for
	builtin   *template.Template // English, as it is shipped
}

// Builtin returns the English words that are built in. It parses them anew: keep
// the result.
func Builtin() (*Templates, error) {
	text, err := shipped.ReadFile("en.txt")
	if err != nil {
		return nil, err
	}
	t, err := parse(nil, "en", string(text))
	if err != nil {
		return nil, err
	}
	return &Templates{languages: map[string]*template.Template{"en": t}, fallback: "en", builtin: t}, nil
}

// LoadTemplates reads every file LANGUAGE.txt of a folder, such as "de.txt" or
// "pt-BR.txt"; "en.txt" replaces English words. language is the one that is used
// where none is asked for; "": English. Each template is tried with notices of
// every kind and class, so that a mistake is told now. The error joins one for
// each file that is wrong.
func LoadTemplates(folder fs.FS, language string) (*Templates, error) {
	t, err := Builtin()
	if err != nil {
		return nil, err
	}
	base := t.builtin
	files, err := fs.Glob(folder, "*.txt")
	if err != nil {
		return nil, err
	}
	if len(files) > maxLanguages {
		return nil, fmt.Errorf("%d languages, at most %d are taken", len(files), maxLanguages)
	}
	var errs []error
	for _, file := range files {
		name := strings.ToLower(strings.TrimSuffix(file, ".txt"))
		if !languageTag(name) {
			errs = append(errs, fmt.Errorf("%s: its name is not a language (want de.txt or pt-br.txt)", file))
			continue
		}
		parsed, err := load(folder, base, file, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.languages[name] = parsed
	}
	if language != "" {
		t.fallback = strings.ToLower(language)
		if t.languages[t.fallback] == nil && len(errs) == 0 {
			errs = append(errs, fmt.Errorf("there are no templates for the language %q", language))
		}
	}
	return t, errors.Join(errs...)
}

func load(folder fs.FS, base *template.Template, file, name string) (*template.Template, error) {
	info, err := fs.Stat(folder, file)
	if err == nil && info.Size() > maxTemplate {
		err = fmt.Errorf("%s: larger than %d bytes", file, maxTemplate)
	}
	if err != nil {
		return nil, err
	}
	text, err := fs.ReadFile(folder, file)
	if err != nil {
		return nil, err
	}
	t, err := parse(base, name, string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := try(t); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

// parse reads the templates of one language over those of base.
func parse(base *template.Template, name, text string) (*template.Template, error) {
	t := template.New(name)
	if base != nil {
		clone, err := base.Clone()
		if err != nil {
			return nil, err
		}
		t = clone.New(name)
	}
	// include is a template's result as a value, so that it can be wrapped. It nests
	// on the stack of the goroutine, which must not run out.
	var depth atomic.Int32
	include := func(name string, data any) (string, error) {
		defer depth.Add(-1)
		if depth.Add(1) > maxDepth {
			return "", errors.New("a template includes itself")
		}
		var b strings.Builder
		err := t.ExecuteTemplate(&b, name, data)
		return b.String(), err
	}
	t.Funcs(template.FuncMap{"include": include, "wrap": wrap, "date": date})
	return t.Parse(text)
}

// try runs every template on samples.
func try(t *template.Template) error {
	for kind := Failure; kind < kinds; kind++ {
		m := sample(kind)
		for _, name := range []string{kind.String(), kind.String() + ".subject"} {
			if err := t.ExecuteTemplate(discard{}, name, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// sample is a message with a recipient of every class.
func sample(kind Kind) *Message {
	now := time.Unix(1_700_000_000, 0).UTC()
	m := &Message{
		Kind: kind.String(), Host: "mail.example", Postmaster: "postmaster@mail.example", Sender: "sender@example.org",
		Subject: "a subject", Arrived: now.Add(-time.Hour), Now: now, Age: time.Hour, Returned: "header", More: 3,
	}
	for c := mail.ClassNone; c < mail.NumClasses; c++ {
		m.Recipients = append(m.Recipients, Person{
			Address: "someone@example.net", Original: "other@example.net", Class: c.String(), Code: 550, Enhanced: "5.1.1",
			Reply: "no such user", Remote: "mx.example.net", Attempts: 3, LastAttempt: now, RetryUntil: now,
		})
	}
	m.Recipients[0].Own, m.Recipients[0].Remote = true, ""
	m.Count = len(m.Recipients) + m.More
	return m
}

// languageTag reports a tag of RFC 5646 in lower case, roughly.
func languageTag(s string) bool {
	for part := range strings.SplitSeq(s, "-") {
		if len(part) < 1 || len(part) > 8 {
			return false
		}
		for _, c := range part {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
				return false
			}
		}
	}
	return true
}

// date is a moment as people and mail programs write it.
func date(t time.Time) string { return string(appendDate(nil, t)) }

// wrap breaks a text into lines of at most 76 columns, each indented by that many
// spaces.
func wrap(indent int, text string) string {
	indent = max(0, min(indent, 40))
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		if column > 0 && column+1+len(word) > foldColumn {
			b.WriteByte('\n')
			column = 0
		}
		if column == 0 {
			b.WriteString(strings.Repeat(" ", indent))
			column = indent
		} else {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// discard takes what a tried template writes.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// language returns the templates for a tag and the tag they have: "pt-br" falls
// back on "pt", and that on the default.
func (t *Templates) language(tag string) (*template.Template, string) {
	tag = strings.ToLower(tag)
	for tag != "" {
		if l := t.languages[tag]; l != nil {
			return l, tag
		}
		tag = tag[:max(0, strings.LastIndexByte(tag, '-'))]
	}
	return t.languages[t.fallback], t.fallback
}

// execute runs one template; what passes limit is dropped.
func execute(t *template.Template, name string, m *Message, limit int) (string, error) {
	b := bounded{limit: limit}
	err := t.ExecuteTemplate(&b, name, m)
	return b.String(), err
}

// bounded is a Buffer that drops what passes its limit.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); room < len(p) {
		b.Buffer.Write(p[:max(0, room)]) // a Buffer takes everything
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

package aliases

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"postrider/internal/mail"
)

// maxFileBytes bounds a file of aliases.
const maxFileBytes = 64 << 20

// Error is one thing that is wrong with a file.
type Error struct {
	File    string
	Line    int // from 1; 0 when it belongs to no line
	Message string
}

// Error returns file:line: message.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// maxErrors bounds what is told of one file.
const maxErrors = 100

// Load reads a file. The error joins an *Error for everything that is wrong.
func Load(path string, o Options) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("aliases: %w", err)
	}
	defer f.Close() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("aliases: %w", err)
	}
	return Parse(path, text, o)
}

// Parse is Load for a text that was read from the file of that name.
func Parse(name string, text []byte, o Options) (*Table, error) {
	p := parser{file: name, ours: make(map[string]bool), t: &Table{
		keys: make(map[string][]target), local: make(map[string]bool), has: make(map[string]bool),
	}, lines: make(map[string]int)}
	for _, d := range o.Local {
		p.t.local[strings.ToLower(d)] = true
		p.ours[strings.ToLower(d)] = true
	}
	for _, d := range o.Relay {
		p.ours[strings.ToLower(d)] = true
	}
	if len(text) > maxFileBytes {
		p.fail(0, "larger than 64 MiB")
	} else {
		p.all(string(text))
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return p.t, nil
}

type parser struct {
	file  string
	ours  map[string]bool
	t     *Table
	lines map[string]int // of keys
	errs  []error
}

func (p *parser) fail(line int, format string, args ...any) {
	if len(p.errs) < maxErrors {
		p.errs = append(p.errs, &Error{File: p.file, Line: line, Message: fmt.Sprintf(format, args...)})
	}
}

// all splits the text into entries: a line with those that go on with it.
func (p *parser) all(text string) {
	var entry strings.Builder
	first, n := 0, 0
	flush := func() {
		if first > 0 {
			p.entry(first, entry.String())
		}
		entry.Reset()
		first = 0
	}
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimSuffix(line, "\r")
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case len(trimmed) < len(line):
			if first == 0 {
				p.fail(n, "the first entry begins with a space")
				continue
			}
			entry.WriteByte(' ')
			entry.WriteString(trimmed)
		default:
			flush()
			first = n
			entry.WriteString(line)
		}
	}
	flush()
}

// entry reads one "key: target, target".
func (p *parser) entry(line int, text string) {
	end := scan(text, ": \t")
	name, rest := text[:end], strings.TrimLeft(text[end:], " \t")
	rest = strings.TrimLeft(strings.TrimPrefix(rest, ":"), " \t")
	key, ok := p.key(line, name)
	if !ok {
		return
	}
	if first, twice := p.lines[key]; twice {
		p.fail(line, "%q has an entry in line %d already", name, first)
		return
	}
	p.lines[key] = line
	var list []target
	bad := false
	for rest != "" {
		end := scan(rest, ",")
		word := strings.TrimRight(rest[:end], " \t")
		rest = strings.TrimLeft(strings.TrimPrefix(rest[end:], ","), " \t")
		if word == "" {
			continue // a comma too much
		}
		to, err := parseTarget(word)
		if err != nil {
			p.fail(line, "%v", err)
			bad = true
			continue
		}
		list = append(list, to)
	}
	switch {
	case len(list) == 0 && !bad:
		p.fail(line, "%q has no target", name)
	case len(list) > maxTargets:
		p.fail(line, "%q has %d targets, at most %d are allowed", name, len(list), maxTargets)
	}
	p.t.keys[key] = list
}

// key returns the form in which a key is looked up.
func (p *parser) key(line int, name string) (string, bool) {
	to, err := parseTarget(name)
	switch {
	case err != nil:
		p.fail(line, "%v", err)
		return "", false
	case to.domain != "" && !p.ours[to.domain]:
		p.fail(line, "%q: the domain is neither in local.domains nor in relay.domains", name)
		return "", false
	case to.domain == "" && len(p.t.local) == 0:
		p.fail(line, "%q: a key without a domain is for local.domains, and there are none", name)
		return "", false
	case to.domain == "":
		p.t.named = true
		return string(appendLower(nil, []byte(to.local))), true
	}
	p.t.has[to.domain] = true
	if to.local == "" {
		return "@" + to.domain, true
	}
	return string(appendLower(nil, []byte(to.local))) + "@" + to.domain, true
}

// scan returns the index of the first of stops that is not in quotes, or the
// length.
func scan(text, stops string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case !quoted && strings.IndexByte(stops, c) >= 0:
			return i
		}
	}
	return len(text)
}

// parseTarget reads an address, "@domain" or a local part.
func parseTarget(word string) (target, error) {
	bad := fmt.Errorf("%q is not an address", word)
	switch {
	case word == "":
		return target{}, bad
	case strings.HasPrefix(word, "|"), strings.HasPrefix(word, `"|`), strings.HasPrefix(word, "/"), strings.HasPrefix(word, ":"):
		return target{}, fmt.Errorf("%q: commands, files and includes are not supported, only addresses", word)
	}
	text, bare := word, false
	switch {
	case word[0] == '@':
		text = "x" + word
	case scan(word, "@") == len(word):
		text, bare = word+"@localhost", true
	}
	a, err := mail.ParseAddress([]byte(text), true)
	switch {
	case err != nil:
		return target{}, bad
	case word[0] == '@':
		return target{domain: string(a.Domain)}, nil
	case bare:
		return target{local: string(a.Local)}, nil
	}
	return target{local: string(a.Local), domain: string(a.Domain)}, nil
}

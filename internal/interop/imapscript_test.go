//go:build interop

package interop

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/access/imap/imaptest"
)

// scriptPlayer plays a script of IMAP commands against a server and notes what it
// says. A script has lines
//
//	a: COMMAND      session a sends it; {NAME} stands for a letter of the corpus as a
//	                literal, {=text} for a text as a literal, ${NAME} for a value
//	-- corpus BOX   all letters of the corpus are added to a mailbox, by session a
//	-- set NAME EXPRESSION   a value is taken from what the last command brought
//	# a comment
//
// and each session is logged in at its first line.
type scriptPlayer struct {
	t              *testing.T
	addr           string
	user, password string
	sessions       map[string]*scriptSession
	values         map[string]string
	last           string // the raw answer to the last command
}

type scriptSession struct {
	nc     net.Conn
	in     *bufio.Reader
	serial int
}

// answer is a command with what was said to it, normalised.
type answer struct {
	command string
	lines   []string
}

func (p *scriptPlayer) play(script string) (answers []answer) {
	p.t.Helper()
	p.sessions, p.values = map[string]*scriptSession{}, map[string]string{}
	defer func() {
		for _, s := range p.sessions {
			_ = s.nc.Close()
		}
	}()
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.Fields(line)
		switch {
		case line == "" || line[0] == '#':
		case words[0] == "--" && words[1] == "corpus":
			for _, l := range imapCorpus() {
				p.do("a", fmt.Sprintf(`APPEND %s "10-Feb-2020 10:00:00 +0000" {%s}`, words[2], l.name))
			}
		case words[0] == "--" && words[1] == "set":
			m := regexp.MustCompile(strings.Join(words[3:], " ")).FindStringSubmatch(p.last)
			if m == nil {
				p.t.Fatalf("%s: no %v in %s", p.addr, words[3:], p.last)
			}
			p.values[words[2]] = m[1]
		default:
			name, command, ok := strings.Cut(line, ": ")
			if !ok {
				p.t.Fatalf("not a line of a script: %q", line)
			}
			answers = append(answers, answer{line, p.do(name, command)})
		}
	}
	return answers
}

func (p *scriptPlayer) session(name string) *scriptSession {
	p.t.Helper()
	s := p.sessions[name]
	if s != nil {
		return s
	}
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	s = &scriptSession{nc: nc, in: bufio.NewReader(nc)}
	p.sessions[name] = s
	if _, err := s.in.ReadString('\n'); err != nil {
		p.t.Fatal(err)
	}
	p.do(name, fmt.Sprintf("LOGIN %q %q", p.user, p.password))
	if !strings.Contains(p.last, " OK ") {
		p.t.Fatal(p.last)
	}
	return s
}

var scriptWord = regexp.MustCompile(`\{=([^}]*)\}|\$\{([a-z]+)\}|\{([a-z0-9]+)\}`)

func (p *scriptPlayer) expand(command string) string {
	literal := func(s string) string { return fmt.Sprintf("{%d}\r\n\x00%s", len(s), s) } // NUL: where to wait
	return scriptWord.ReplaceAllStringFunc(command, func(w string) string {
		m := scriptWord.FindStringSubmatch(w)
		switch {
		case strings.HasPrefix(w, "{="):
			return literal(strings.ReplaceAll(m[1], `\n`, "\r\n"))
		case m[2] != "":
			return p.values[m[2]]
		}
		for _, l := range imapCorpus() {
			if l.name == m[3] {
				return literal(l.text)
			}
		}
		return w
	})
}

// do runs a command and returns the normalised answer.
func (p *scriptPlayer) do(name, command string) (lines []string) {
	p.t.Helper()
	s := p.session(name)
	s.serial++
	tag := fmt.Sprintf("%s%d", name, s.serial)
	if err := s.nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	pieces := strings.Split(tag+" "+p.expand(command)+"\r\n", "\x00")
	send := func(text string) {
		if _, err := s.nc.Write([]byte(text)); err != nil {
			p.t.Fatal(err)
		}
	}
	send(pieces[0])
	p.last = ""
	ordered := false
	for {
		r, err := imaptest.Read(s.in)
		if err != nil {
			p.t.Fatalf("%s: %s: %v", p.addr, command, err)
		}
		p.last += r.String() + "\n"
		if r.Tag == "+" {
			if pieces = pieces[1:]; len(pieces) == 0 {
				pieces = []string{"DONE\r\n"} // IDLE
			}
			send(pieces[0])
			continue
		}
		ordered = ordered || r.Name == "EXPUNGE" || r.Name == "THREAD" || r.Name == "SORT"
		if n := normal(r); n != "" {
			lines = append(lines, n)
		}
		if r.Tag == tag || r.Name == "BYE" && !strings.EqualFold(command, "LOGOUT") {
			break
		}
	}
	if !ordered {
		slices.Sort(lines)
	}
	return lines
}

// compareAnswers returns what only one of two servers has said to each command.
func compareAnswers(script string, ours, theirs []answer) (all []difference) {
	seen := map[string]int{}
	for i, a := range ours {
		seen[a.command]++
		d := difference{key: fmt.Sprintf("%s %d %s", script, seen[a.command], a.command)}
		for _, l := range without(theirs[i].lines, a.lines) {
			d.lines = append(d.lines, "- "+l)
		}
		for _, l := range without(a.lines, theirs[i].lines) {
			d.lines = append(d.lines, "+ "+l)
		}
		if len(d.lines) > 0 {
			all = append(all, d)
		}
	}
	return all
}

// difference is one to a command: lines that begin with "-" are Dovecot's, with "+"
// ours.
type difference struct {
	key, why string
	lines    []string
}

// without returns the lines of a that are not in b, each as often as it is there.
func without(a, b []string) (rest []string) {
	b = slices.Clone(b)
	for _, l := range a {
		if i := slices.Index(b, l); i >= 0 {
			b = slices.Delete(b, i, i+1)
			continue
		}
		rest = append(rest, l)
	}
	return rest
}

// readDifferences reads the file of explained differences.
func readDifferences(t *testing.T, path string) map[string]difference {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	known := map[string]difference{}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		var d difference
		for line := range strings.SplitSeq(block, "\n") {
			switch {
			case strings.HasPrefix(line, "== "):
				d.key = line[3:]
			case strings.HasPrefix(line, "why: "):
				d.why = line[5:]
			case line != "" && line[0] != '#':
				d.lines = append(d.lines, line)
			}
		}
		if d.key != "" {
			known[d.key] = d
		}
	}
	return known
}

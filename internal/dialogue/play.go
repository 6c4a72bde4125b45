package dialogue

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// expected is a line that a server is to say.
type expected struct{ kind, text string }

func (p *player) say(c *conn, kind, text string) {
	p.t.Helper()
	for _, other := range p.conns {
		if other != c {
			p.send(other)
		}
	}
	octets := p.unescape(text)
	if kind == "C:" {
		octets += "\r\n"
	}
	c.pending.WriteString(strings.Repeat(octets, max(p.count, 1)))
	p.count = 0
	p.asked = true
}

func (p *player) flush() {
	p.t.Helper()
	for _, c := range p.conns {
		p.send(c)
	}
}

func (p *player) send(c *conn) {
	p.t.Helper()
	if err := c.write(); err != nil {
		p.fatalf("send: %v", err)
	}
}

func (p *player) direct(name, text string) {
	p.t.Helper()
	words := strings.Fields(text)
	if len(words) == 0 {
		p.fatalf("a directive without a word")
	}
	switch words[0] {
	case "repeat", "times":
		n, err := strconv.Atoi(strings.Join(words[1:], " "))
		if err != nil {
			p.fatalf("%v", err)
		}
		p.count = n
		return
	}
	p.flush()
	switch words[0] {
	case "eof":
		c := p.conn(name)
		if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
			p.fatalf("%v", err)
		}
		if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
			p.fatalf("no end of the output: %q, %v", rest, err)
		}
	case "close":
		if err := p.conn(name).nc.Close(); err != nil {
			p.fatalf("%v", err)
		}
	case "tls":
		if err := p.conn(name).handshake(); err != nil {
			p.fatalf("handshake: %v", err)
		}
	case "deflate":
		if err := p.conn(name).compress(); err != nil {
			p.fatalf("%v", err)
		}
	default:
		if p.o.Do == nil || !p.o.Do(words) {
			p.fatalf("not a directive: %q", text)
		}
		p.asked = true
	}
}

func (p *player) expect(c *conn, want expected) {
	p.t.Helper()
	got, raw, err := c.read(patience)
	if err != nil {
		p.fatalf("want %q, got %q, %v", want.text, got, err)
	}
	if !p.matches(want, got) && !p.matches(want, raw) {
		p.fatalf("\nwant %s\ngot  %s", want.text, got)
	}
}

func (p *player) matches(want expected, got string) bool {
	switch want.kind {
	case "S*":
		return strings.HasPrefix(got, want.text)
	case "S+":
		e, err := regexp.Compile("^(?:" + want.text + ")$")
		if err != nil {
			p.fatalf("%v", err)
		}
		return e.MatchString(got)
	}
	return got == want.text || strings.Contains(want.text, "${") && p.fits(want.text, got)
}

var variable = regexp.MustCompile(`\$\{([A-Za-z0-9*]+)(?:=([A-Za-z]+))?\}`)

// fits matches a line with variables, and gives those that it names their values.
func (p *player) fits(want, got string) bool {
	var e strings.Builder
	var names []string
	kinds := map[string]string{"N": "[0-9]+", "host": "[^ ]+", "*": ".*"}
	at := 0
	e.WriteByte('^')
	for _, m := range variable.FindAllStringSubmatchIndex(want, -1) {
		e.WriteString(regexp.QuoteMeta(want[at:m[0]]))
		at = m[1]
		name := want[m[2]:m[3]]
		switch {
		case m[4] >= 0:
			names = append(names, name)
			e.WriteString("(" + kinds[want[m[4]:m[5]]] + ")")
		case kinds[name] != "":
			e.WriteString(kinds[name])
		default:
			e.WriteString(regexp.QuoteMeta(p.value(name)))
		}
	}
	e.WriteString(regexp.QuoteMeta(want[at:]) + "$")
	found := regexp.MustCompile(e.String()).FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, name := range names {
		p.names[name] = found[i+1]
	}
	return true
}

func (p *player) value(name string) string {
	p.t.Helper()
	v, ok := p.names[name]
	if !ok {
		p.fatalf("${%s} has no value", name)
	}
	return v
}

// record writes down what the servers say until they are silent.
func (p *player) record() {
	p.flush()
	p.asked = false
	for _, c := range p.conns {
		for !c.silent() {
			got, _, err := c.read(quiet)
			if err != nil {
				break
			}
			line := p.known(c, got)
			fmt.Fprintf(&p.out, "%s%s%s %s\n", line.kind[:1], c.name, line.kind[1:], line.text)
		}
		c.old = nil
	}
}

// known returns the line of the old transcript that says what the server says now,
// or a new one.
func (p *player) known(c *conn, got string) expected {
	for i, want := range c.old {
		if p.matches(want, got) {
			c.old = c.old[i+1:]
			return want
		}
	}
	if p.o.Vary != nil {
		got = p.o.Vary(got)
	}
	return expected{"S:", got}
}

// unasked reports what a server said beyond the transcript.
func (p *player) unasked() {
	p.t.Helper()
	for _, c := range p.conns {
		if n := c.in.Buffered(); n > 0 {
			rest, _ := c.in.Peek(n)
			p.t.Errorf("%s: said beyond the transcript: %q", p.path, rest)
		}
	}
}

var (
	times = regexp.MustCompile(`\$\{([0-9]+):(.)\}`)
	octet = regexp.MustCompile(`\\(r|n|t|\\|x[0-9a-fA-F]{2})`)
)

func (p *player) unescape(s string) string {
	s = times.ReplaceAllStringFunc(s, func(m string) string {
		part := times.FindStringSubmatch(m)
		n, err := strconv.Atoi(part[1])
		if err != nil {
			p.fatalf("%v", err)
		}
		return strings.Repeat(part[2], n)
	})
	s = variable.ReplaceAllStringFunc(s, func(m string) string { return p.value(m[2 : len(m)-1]) })
	return octet.ReplaceAllStringFunc(s, func(m string) string {
		switch m[1] {
		case 'r':
			return "\r"
		case 'n':
			return "\n"
		case 't':
			return "\t"
		case '\\':
			return "\\"
		}
		n, err := strconv.ParseUint(m[2:], 16, 8)
		if err != nil {
			p.fatalf("%v", err)
		}
		return string([]byte{byte(n)})
	})
}

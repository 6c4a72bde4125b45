// Package dialogue runs protocol transcripts against connections. It is used by
// tests only.
//
// # Format
//
// A transcript is a text file of lines:
//
//	# a comment
//	C: text            the client sends text and CRLF
//	C- text            the client sends text as it is
//	S: text            the server must answer with just this line
//	S* prefix          the server must answer with a line that starts so
//	S+ expression      the server must answer with a line that matches
//	-- eof             the server must end its output
//	-- close           the client closes the connection
//	-- tls             the client makes a TLS handshake
//	-- deflate         both sides compress from here on (RFC 4978)
//	-- repeat N        the next client line is sent N times
//	-- times N         the next server line is expected N times
//
// Several connections play in one transcript when a name follows the letter:
// "C2: text", "S2: text", "--2 eof". Each is dialed at its first line. Client lines
// that follow one another in one connection are sent in one write, which is how
// pipelining is tested; the lines of one connection say nothing of another's, but
// what a client sends waits until what stands above it has come.
//
// In client text \r, \n, \t, \\ and \xNN stand for octets, and ${N:c} for the
// character c N times. In server text ${N} stands for a decimal number, ${host} for
// any word and ${*} for anything; ${name=N} and ${name=host} also give what stands
// there a name, for which ${name} stands from there on in all connections. What is
// not text in a server's line is written \xNN, as is a line feed without CR before.
package dialogue

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// rewrite makes Run write what the server did say into the transcript: lines that
// match stay as they are.
var rewrite = flag.Bool("rewrite", false, "write the server's lines into the transcripts")

// patience is how long a server may take for a line.
const patience = 10 * time.Second

// quiet is how long a server must be silent, when a transcript is rewritten, for
// its answer to be taken as complete.
const quiet = 200 * time.Millisecond

// Options are those of a transcript with several connections.
type Options struct {
	// Dial opens the connection with a name; that of "C:" is empty.
	Dial func(name string) net.Conn
	// Do, when not nil, is asked for directives that this package does not know: it
	// returns false when it does not either.
	Do func(words []string) bool
	// Vary, when not nil, puts ${N} and the like into a line that is written anew.
	Vary func(line string) string
}

// Run plays the transcript in the file against nc and closes it. Mismatches are
// reported with file and line.
func Run(t testing.TB, path string, nc net.Conn) {
	t.Helper()
	Play(t, path, &Options{Dial: func(name string) net.Conn {
		if name != "" {
			t.Fatalf("%s: there is no connection %q", path, name)
		}
		return nc
	}})
}

// Play plays the transcript in the file and closes its connections.
func Play(t testing.TB, path string, o *Options) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, path: path, o: o, names: map[string]string{}}
	defer p.close()
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		p.line = i + 1
		p.play(line)
	}
	p.flush()
	if *rewrite {
		p.record()
		if err := os.WriteFile(path, p.out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.unasked()
}

type player struct {
	t     testing.TB
	path  string
	o     *Options
	line  int
	conns []*conn // in the order of their first lines
	names map[string]string
	count int          // of "repeat" or "times" for the next line
	out   bytes.Buffer // the transcript rewritten
	asked bool         // in rewriting: the servers have not been heard since the last write
}

func (p *player) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s:%d: %s", p.path, p.line, fmt.Sprintf(format, args...))
}

// conn returns the connection with a name and dials it at the first call.
func (p *player) conn(name string) *conn {
	p.t.Helper()
	for _, c := range p.conns {
		if c.name == name {
			return c
		}
	}
	c := newConn(name, p.o.Dial(name))
	p.conns = append(p.conns, c)
	p.asked = true
	return c
}

func (p *player) close() {
	for _, c := range p.conns {
		_ = c.nc.Close()
	}
}

// play plays one line.
func (p *player) play(line string) {
	p.t.Helper()
	key, text, _ := strings.Cut(line, " ")
	kind, name := cutKey(key)
	if kind == "" && key != "" && !strings.HasPrefix(key, "#") {
		p.fatalf("not a line of a transcript: %q", line)
	}
	switch kind {
	case "C:", "C-":
		c := p.conn(name)
		p.copy(line)
		p.say(c, kind, text)
	case "S:", "S*", "S+":
		c := p.conn(name)
		if *rewrite {
			c.old = append(c.old, expected{kind, text})
			return
		}
		p.flush()
		for range max(p.count, 1) {
			p.expect(c, expected{kind, text})
		}
		p.count = 0
	case "--":
		p.copy(line)
		p.direct(name, text)
	default:
		p.copy(line)
	}
}

// copy writes a line that is not a server's into the rewritten transcript.
func (p *player) copy(line string) {
	if *rewrite {
		if p.asked && line != "" && line[0] != '#' {
			p.record()
		}
		fmt.Fprintln(&p.out, line)
	}
}

// cutKey takes "C2:" apart: "C:" and "2".
func cutKey(key string) (kind, name string) {
	if strings.HasPrefix(key, "--") {
		return "--", key[2:]
	}
	if len(key) < 2 || key[0] != 'C' && key[0] != 'S' {
		return "", ""
	}
	last := len(key) - 1
	kind = key[:1] + key[last:]
	switch kind {
	case "C:", "C-", "S:", "S*", "S+":
		return kind, key[1:last]
	}
	return "", ""
}

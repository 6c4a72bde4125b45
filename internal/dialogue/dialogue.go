// Package dialogue runs protocol transcripts against a connection. It is used by
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
//	-- eof             the server must end its output
//	-- close           the client closes the connection
//	-- tls             the client makes a TLS handshake
//	-- repeat N        the next client line is sent N times
//	-- times N         the next server line is expected N times
//
// Client lines that follow one another are sent in one write, which is how
// pipelining is tested. In client text \r, \n, \t, \\ and \xNN stand for octets,
// and ${N:c} for the character c N times; in server text ${N} stands for a decimal
// number and ${host} for any word.
package dialogue

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rewrite makes Run write what the server did say into the transcript.
var rewrite = flag.Bool("rewrite", false, "write the server's lines into the transcripts")

// patience is how long a server may take for a line.
const patience = 10 * time.Second

// quiet is how long a server must be silent, when a transcript is rewritten, for
// its answer to be taken as complete.
const quiet = 200 * time.Millisecond

// Run plays the transcript in the file against nc and closes it. Mismatches are
// reported with file and line.
func Run(t testing.TB, path string, nc net.Conn) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, path: path, nc: nc, in: bufio.NewReader(nc)}
	defer func() { _ = p.nc.Close() }()
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
}

type player struct {
	t       testing.TB
	path    string
	line    int
	nc      net.Conn
	in      *bufio.Reader
	pending bytes.Buffer // client octets for the next write
	repeat  int
	times   int
	out     bytes.Buffer // the transcript rewritten
	asked   bool         // in rewriting: the server has not been heard since the last write
}

func (p *player) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s:%d: %s", p.path, p.line, fmt.Sprintf(format, args...))
}

func (p *player) play(line string) {
	p.t.Helper()
	key, text, _ := strings.Cut(line, " ")
	if key != "S:" && key != "S*" {
		if *rewrite && p.asked && key != "#" && key != "" {
			p.record()
		}
		fmt.Fprintln(&p.out, line)
	}
	switch key {
	case "", "#":
	case "C:", "C-":
		octets := p.unescape(text)
		if key == "C:" {
			octets += "\r\n"
		}
		p.pending.WriteString(strings.Repeat(octets, max(p.repeat, 1)))
		p.repeat = 0
		p.asked = true
	case "S:", "S*":
		if *rewrite {
			return
		}
		p.flush()
		for range max(p.times, 1) {
			p.expect(key, text)
		}
		p.times = 0
	case "--":
		p.direct(text)
	default:
		p.fatalf("not a line of a transcript: %q", line)
	}
}

func (p *player) direct(text string) {
	p.t.Helper()
	word, arg, _ := strings.Cut(text, " ")
	switch word {
	case "repeat", "times":
		n, err := strconv.Atoi(arg)
		if err != nil {
			p.fatalf("%v", err)
		}
		if word == "repeat" {
			p.repeat = n
		} else {
			p.times = n
		}
		return
	}
	p.flush()
	switch word {
	case "eof":
		p.wait(patience)
		if rest, err := io.ReadAll(p.in); err != nil || len(rest) > 0 {
			p.fatalf("no end of the output: %q, %v", rest, err)
		}
	case "close":
		if err := p.nc.Close(); err != nil {
			p.fatalf("%v", err)
		}
	case "tls":
		c := tls.Client(p.nc, &tls.Config{InsecureSkipVerify: true})
		p.wait(patience)
		if err := c.Handshake(); err != nil {
			p.fatalf("handshake: %v", err)
		}
		p.nc, p.in = c, bufio.NewReader(c)
	default:
		p.fatalf("not a directive: %q", text)
	}
}

func (p *player) wait(d time.Duration) {
	if err := p.nc.SetReadDeadline(time.Now().Add(d)); err != nil {
		p.fatalf("%v", err)
	}
}

func (p *player) flush() {
	p.t.Helper()
	if p.pending.Len() == 0 {
		return
	}
	if err := p.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		p.fatalf("%v", err)
	}
	if _, err := p.nc.Write(p.pending.Bytes()); err != nil {
		p.fatalf("send: %v", err)
	}
	p.pending.Reset()
}

func (p *player) expect(key, want string) {
	p.t.Helper()
	p.wait(patience)
	got, err := p.in.ReadString('\n')
	if err != nil {
		p.fatalf("want %q, got %q, %v", want, got, err)
	}
	got = strings.TrimSuffix(got, "\r\n")
	switch {
	case key == "S*" && strings.HasPrefix(got, want):
	case key == "S:" && (got == want || p.pattern(want).MatchString(got)):
	default:
		p.fatalf("\nwant %q\ngot  %q", want, got)
	}
}

// pattern makes the expression that ${N} and ${host} stand for.
func (p *player) pattern(want string) *regexp.Regexp {
	e := regexp.QuoteMeta(want)
	e = strings.ReplaceAll(e, `\$\{N\}`, `[0-9]+`)
	e = strings.ReplaceAll(e, `\$\{host\}`, `[^ ]+`)
	return regexp.MustCompile("^" + e + "$")
}

// record writes down what the server says until it is silent.
func (p *player) record() {
	p.flush()
	p.asked = false
	for {
		p.wait(quiet)
		got, err := p.in.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintf(&p.out, "S: %s\n", strings.TrimSuffix(got, "\r\n"))
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

package access_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// letter is a stored message.
type letter struct {
	uid   int
	flags []string
	text  string
	stuck bool // its flags do not change any more
}

// box is a mailbox of the fake.
type box struct {
	letters        []*letter
	validity, next int
	watchers       map[chan struct{}]bool
	old            []*letter // that were deleted by POP3
}

// fake is a server for LMTP, POP3 and IMAP that keeps mail in memory. fault names
// the one thing that it does wrong; "" is a server that does all right.
type fake struct {
	t     testing.TB
	fault string
	lmtp  string
	pop3  string
	imap  string

	conns sync.WaitGroup
	mu    sync.Mutex // guards following
	boxes map[string]*box
	open  map[net.Conn]bool
	ended bool
	times int // how often something was done that the fault touches
	after int // when it strikes
}

func startFake(t testing.TB, fault string, after int) *fake {
	f := &fake{t: t, fault: fault, after: after, boxes: map[string]*box{}, open: map[net.Conn]bool{}}
	t.Cleanup(func() { f.end(); f.conns.Wait() }) // after the listeners are closed
	f.lmtp, f.pop3, f.imap = f.listen(f.serveLMTP, nil), f.listen(f.servePOP3, nil), f.listen(f.serveIMAP, nil)
	return f
}

// peer is one connection.
type peer struct {
	*bufio.Reader
	w *bufio.Writer
}

func (p *peer) say(format string, args ...any) { fmt.Fprintf(p.w, format+"\r\n", args...) }

// command flushes what was said and reads the next line.
func (p *peer) command() (string, bool) {
	if p.w.Flush() != nil {
		return "", false
	}
	line, err := p.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

func (f *fake) listen(serve func(*peer), config *tls.Config) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	f.t.Cleanup(func() { _ = l.Close() })
	f.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !f.enter(c) {
				_ = c.Close()
				continue
			}
			f.conns.Go(func() {
				defer f.leave(c)
				p := &peer{bufio.NewReader(c), bufio.NewWriter(c)}
				serve(p)
				_ = p.w.Flush()
			})
		}
	})
	return l.Addr().String()
}

func (f *fake) enter(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[c] = true
	return !f.ended
}

func (f *fake) leave(c net.Conn) {
	_ = c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, c)
}

// end closes all connections for good.
func (f *fake) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.cutLocked()
}

// cutLocked closes all connections. f.mu is held.
func (f *fake) cutLocked() {
	for c := range f.open {
		_ = c.Close()
	}
}

func (f *fake) box(name string) *box {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.boxLocked(name)
}

func (f *fake) boxLocked(name string) *box {
	b := f.boxes[name]
	if b == nil {
		b = &box{validity: 7, next: 1, watchers: map[chan struct{}]bool{}}
		f.boxes[name] = b
	}
	return b
}

// strikesLocked reports whether the fault is this one and its moment has come: the
// first few times all goes well. f.mu is held.
func (f *fake) strikesLocked(fault string) bool {
	if f.fault != fault {
		return false
	}
	f.times++
	return f.times == f.after
}

func (f *fake) serveLMTP(p *peer) {
	p.say("220 fake")
	var to string
	for {
		line, ok := p.command()
		if !ok {
			return
		}
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "RCPT":
			to = strings.TrimSuffix(strings.TrimPrefix(line, "RCPT TO:<"), ">")
			p.say("250 ok")
		case "DATA":
			p.say("354 go")
			if p.w.Flush() != nil {
				return
			}
			text, err := p.dotted()
			if err != nil {
				return
			}
			f.store(to, text)
			p.say("250 stored")
		case "QUIT":
			p.say("221 bye")
			return
		case "LHLO":
			p.say("250-fake\r\n250 PIPELINING")
		default:
			p.say("250 ok")
		}
	}
}

func (p *peer) dotted() (string, error) {
	var b strings.Builder
	for {
		line, err := p.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (f *fake) store(to, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.boxLocked(to)
	copies := 1
	if f.strikesLocked("message lost") {
		copies = 0
	}
	if f.strikesLocked("cut at delivery") {
		f.cutLocked()
	}
	if f.strikesLocked("message twice") {
		copies = 2
	}
	if f.strikesLocked("text damaged") {
		text = strings.Replace(text, "lazy", "lacy", 1)
	}
	if len(b.letters) > 0 && f.strikesLocked("foreign text") {
		text = b.letters[0].text
	}
	for range copies {
		b.letters = append(b.letters, &letter{uid: b.next, text: "Return-Path: <>\r\n" + text})
		b.next++
	}
	if f.strikesLocked("EXISTS forgotten") {
		return
	}
	for w := range b.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// snapshot returns copies of the letters, as a session sees them.
func (f *fake) snapshot(b *box) []letter {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []letter
	for _, l := range b.letters {
		c := *l
		c.flags = slices.Clone(l.flags)
		all = append(all, c)
	}
	return all
}

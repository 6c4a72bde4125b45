package load_test

import (
	"bufio"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a server that does what a test says.
type fake struct {
	extensions []string
	lmtp       bool
	// reply answers a command ("RCPT TO:<a@b>") or, as ".", a text; "" is the
	// usual reply, "drop" closes the connection. It may wait.
	reply func(command string) string

	mu       sync.Mutex // guards following
	commands []string
	texts    []string
	conns    map[net.Conn]bool
}

// start serves until the test is over, and returns the address.
func (f *fake) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.conns = map[net.Conn]bool{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns[c] = true
			f.mu.Unlock()
			wg.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		for c := range f.conns {
			_ = c.Close()
		}
		f.mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// said returns how many commands began with prefix.
func (f *fake) said(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.commands {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func (f *fake) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	out := bufio.NewWriter(c)
	say := func(command, usual string) (code int) {
		s := ""
		if f.reply != nil {
			s = f.reply(command)
		}
		if s == "drop" {
			return 0
		}
		if s == "" {
			s = usual
		}
		_, _ = out.WriteString(s + "\r\n")
		if in.Buffered() == 0 {
			_ = out.Flush()
		}
		code, _ = strconv.Atoi(s[:3])
		return code
	}
	if say("", "220 fake") == 0 {
		return
	}
	rcpts := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		f.mu.Lock()
		f.commands = append(f.commands, line)
		f.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		code := 1
		switch verb {
		case "EHLO", "LHLO":
			all := append([]string{"fake"}, f.extensions...)
			for i, x := range all {
				all[i] = "250-" + x
			}
			last := len(all) - 1
			all[last] = "250 " + all[last][4:]
			code = say(line, strings.Join(all, "\r\n"))
		case "RCPT":
			if code = say(line, "250 ok"); code == 250 {
				rcpts++
			}
		case "DATA":
			if code = say(line, "354 go on"); code != 354 {
				break
			}
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			f.mu.Lock()
			f.texts = append(f.texts, text.String())
			f.mu.Unlock()
			n := 1
			if f.lmtp {
				n = rcpts
			}
			for range n {
				if code = say(".", "250 taken"); code == 0 {
					return
				}
			}
			rcpts = 0
		case "QUIT":
			say(line, "221 bye")
			_ = out.Flush()
			return
		default: // MAIL, RSET
			rcpts = 0
			code = say(line, "250 ok")
		}
		if code == 0 {
			return
		}
	}
}

// stall makes a server answer nothing from its nth text until d later.
func stall(n int, d time.Duration) func(string) string {
	var once sync.Once
	var mu sync.Mutex
	texts := 0
	over := make(chan struct{})
	return func(command string) string {
		mu.Lock()
		if command == "." {
			texts++
		}
		stalled := texts >= n
		mu.Unlock()
		if stalled {
			once.Do(func() { time.AfterFunc(d, func() { close(over) }) })
			<-over
		}
		return ""
	}
}

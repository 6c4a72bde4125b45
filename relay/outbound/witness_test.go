package outbound_test

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"postrider/internal/mail"
)

// witness is a plain server that remembers what it has taken. It reads line by
// line, ends a text as a lax server would, at a dot between any two line ends, and
// may misbehave by chance.
type witness struct {
	hop   mail.Hop
	offer []string
	lmtp  bool
	// trouble is asked at each step with its name; "" is no trouble, "close" ends
	// the connection there, "mute" does the step and then ends it, "vanish" ends it
	// with the replies lost that were not yet sent, else it is the reply.
	trouble func(step string) string

	mu    sync.Mutex // guards following
	taken []taken
}

// taken is a text and who was to get it.
type taken struct {
	text string
	from string
	to   []string
}

func newWitness(t *testing.T, offer []string) *witness {
	t.Helper()
	w := &witness{offer: offer, trouble: func(string) string { return "" }}
	w.start(t)
	return w
}

func (w *witness) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	w.hop = mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: l.Addr().String()}
	if w.lmtp {
		w.hop.Kind = mail.HopLMTP
	}
}

func (w *witness) texts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, t := range w.taken {
		list = append(list, t.text)
	}
	return list
}

// witnessed is one connection.
type witnessed struct {
	w    *witness
	in   *bufio.Reader
	out  *bufio.Writer
	now  taken
	mail bool
	over bool
}

func (w *witness) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	s := &witnessed{w: w, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}
	s.reply("greeting", "220 witness")
	for !s.over {
		if s.in.Buffered() == 0 && s.out.Flush() != nil {
			return
		}
		line, err := s.in.ReadString('\n')
		if err != nil {
			return
		}
		s.command(strings.TrimSuffix(line, "\r\n"))
	}
	_ = s.out.Flush()
}

// reply says what is usual at a step unless there is trouble, and reports whether
// it did.
func (s *witnessed) reply(step, usual string) bool {
	switch r := s.w.trouble(step); r {
	case "":
		_, _ = s.out.WriteString(usual + "\r\n")
		return true
	case "vanish":
		s.out.Reset(io.Discard)
		s.over = true
		return false
	case "close", "mute":
		s.over = true
		return r == "mute"
	default:
		_, _ = s.out.WriteString(r + "\r\n")
		s.over = strings.HasPrefix(r, "421")
		return false
	}
}

func (s *witnessed) reset() { s.now, s.mail = taken{}, false }

func (s *witnessed) command(line string) {
	verb, arg, _ := strings.Cut(line, " ")
	path, _, _ := strings.Cut(strings.TrimLeft(arg[strings.IndexByte(arg, ':')+1:], "<"), ">")
	switch {
	case verb == "EHLO" || verb == "LHLO":
		text := "250-witness\r\n"
		for _, o := range s.w.offer {
			text += "250-" + o + "\r\n"
		}
		s.reply("hello", text+"250 HELP")
	case verb == "MAIL" && !s.mail:
		s.mail = s.reply("mail", "250 2.1.0 ok")
		s.now.from = path
	case verb == "RCPT" && s.mail:
		if s.reply("rcpt", "250 2.1.5 ok") {
			s.now.to = append(s.now.to, path)
		}
	case verb == "DATA" && len(s.now.to) > 0:
		if s.reply("data", "354 go") {
			_ = s.out.Flush()
			s.text()
		}
	case verb == "BDAT":
		num, _, _ := strings.Cut(arg, " ")
		n, _ := strconv.Atoi(num)
		b := make([]byte, n)
		if _, err := io.ReadFull(s.in, b); err != nil {
			s.over = true
			return
		}
		if len(s.now.to) == 0 {
			s.say("503 5.5.1 nobody")
			return // with the transaction still open, as a server may
		}
		s.end(string(b))
	case verb == "RSET":
		s.reset()
		s.say("250 2.0.0 reset")
	case verb == "QUIT":
		s.say("221 2.0.0 bye")
		s.over = true
	default:
		s.say("503 5.5.1 not now")
	}
}

func (s *witnessed) say(text string) { _, _ = s.out.WriteString(text + "\r\n") }

// text reads a text to what a lax server takes for its end.
func (s *witnessed) text() {
	var b strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.over = true
			return
		}
		if strings.Trim(line, "\r\n") == "." {
			s.end(b.String())
			return
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

// end takes a text: what is answered 250 was taken, and may have been if there
// was no answer.
func (s *witnessed) end(text string) {
	now := s.now
	s.reset()
	now.text = text
	replies := 1
	if s.w.lmtp {
		replies = len(now.to)
	}
	var to []string
	for i := range replies {
		if s.reply("end", "250 2.0.0 ok") {
			if to = append(to, now.to[i]); !s.w.lmtp {
				to = now.to
			}
		}
		if s.over {
			break
		}
	}
	if now.to = to; len(to) > 0 {
		s.w.mu.Lock()
		s.w.taken = append(s.w.taken, now)
		s.w.mu.Unlock()
	}
}

// chance returns a trouble that comes with some probability at each step.
func chance(seed uint64) func(string) string {
	var mu sync.Mutex // guards r
	r := rand.New(rand.NewPCG(seed, 1))
	rate := r.IntN(60) // in a thousand
	return func(step string) string {
		mu.Lock()
		defer mu.Unlock()
		if step == "greeting" || step == "hello" || r.IntN(1000) >= rate {
			return ""
		}
		list := []string{"450 4.2.0 later", "550 5.1.1 no", "550 5.7.1 no", "close", "vanish", "421 4.3.2 down", "452 4.5.3 many", "552 5.5.3 many"}
		if step == "end" {
			list = append(list, "mute", "mute")
		}
		return list[r.IntN(len(list))]
	}
}

package sink_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	gosmtp "github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"postrider/bench/sink"
)

func TestMain(m *testing.M) {
	if count := os.Getenv(childMessages); count != "" {
		if err := serveChild(count); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, o sink.Options, rules ...sink.Rule) (*sink.Server, string) {
	t.Helper()
	var err error
	if o.Script, err = sink.NewScript(rules...); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s := sink.New(o)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s, l.Addr().String()
}

// exchange sends a conversation in pieces of step bytes and returns what the
// server said to the end, the text of its replies left out.
func exchange(t *testing.T, addr, say string, step int) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var wg sync.WaitGroup
	wg.Go(func() {
		for p := say; p != ""; {
			n := min(step, len(p))
			if _, err := io.WriteString(conn, p[:n]); err != nil {
				return
			}
			p = p[n:]
		}
	})
	defer wg.Wait()
	var codes []string
	in := bufio.NewScanner(conn)
	for in.Scan() {
		if l := in.Text(); len(l) < 4 || l[3] == ' ' {
			codes = append(codes, l[:min(3, len(l))])
		}
	}
	return strings.Join(codes, " ")
}

// Conversations, cut at every size of piece: only CRLF "." CRLF ends a text, and
// chunks are taken by count.
func TestConversations(t *testing.T) {
	const begin = "EHLO x\r\nMAIL FROM:<s@x>\r\nRCPT TO:<a@y>\r\n"
	const hello = "220 250 250 250 "
	for _, c := range []struct {
		say, codes      string
		messages, bytes int64
	}{
		{begin + "DATA\r\na\r\n..b\r\n.\r\nQUIT\r\n", hello + "354 250 221", 1, 7},
		{begin + "DATA\r\n.\r\nQUIT\r\n", hello + "354 250 221", 1, 0},
		{begin + "DATA\r\n..\r\n.\r\nmail from:<>\r\nrcpt to:<b@y>\r\ndata\r\nx\r\n.\r\nquit\r\n", hello + "354 250 250 250 354 250 221", 2, 6},
		{begin + "DATA\r\na\n.\nb\n.\r\nc\r.\rd\r\n.\ne\r.\r\n\r\n.\r\nQUIT\r\n", hello + "354 250 221", 1, 24},
		{begin + "BDAT 5\r\n\r\n.\r\nBDAT 3 LAST\r\na\r\nQUIT\r\n", hello + "250 250 221", 1, 8},
		{begin + "BDAT 0 LAST\r\nBDAT 4 LAST\r\nQUITMAIL FROM:<>\r\nRCPT TO:<b>\r\nRSET\r\nDATA\r\nQUIT\r\n", hello + "250 554 250 250 250 503 221", 1, 0},
		{"MAIL FROM:<x>\r\nEHLO x\r\nRCPT TO:<x>\r\nFOO\r\n\r\nNOOP\r\nBDAT x\r\n", "220 503 250 503 500 500 250 500", 0, 0},
	} {
		for step := 1; step <= len(c.say); step += 1 + step/3 {
			s, addr := start(t, sink.Options{})
			if got := exchange(t, addr, c.say, step); got != c.codes {
				t.Fatalf("%q in pieces of %d: %s, not %s", c.say, step, got, c.codes)
			}
			if n := s.Counts(); n.Messages != c.messages || n.Bytes != c.bytes {
				t.Fatalf("%q in pieces of %d: %+v", c.say, step, n)
			}
		}
	}
}

// Clients by other hands find a server, and LMTP answers for each recipient.
func TestOtherClients(t *testing.T) {
	s, addr := start(t, sink.Options{}, sink.DomainRules()...)
	if err := smtp.SendMail(addr, nil, "s@x", []string{"a@y", "b@y"}, []byte("Subject: x\r\n\r\n.\r\n")); err != nil {
		t.Error(err)
	}
	if err := smtp.SendMail(addr, nil, "s@x", []string{"a@Reject.y"}, nil); err == nil || err.Error()[:3] != "550" {
		t.Error(err)
	}
	if n := s.Counts(); n.Messages != 1 || n.Recipients != 2 || n.Refused != 1 {
		t.Errorf("%+v", n)
	}

	s, addr = start(t, sink.Options{LMTP: true}, sink.DomainRules()...)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := gosmtp.NewClientLMTP(conn)
	if err := c.Mail("s@x", nil); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"a@y", "b@endreject.y", "c@y", "d@enddefer.y"} {
		if err := c.Rcpt(to, nil); err != nil {
			t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, "Subject: x\r\n\r\nx\r\n")
	_, err = w.CloseWithLMTPResponse()
	var refused gosmtp.LMTPDataError
	if !errors.As(err, &refused) || len(refused) != 2 || refused["b@endreject.y"].Code != 554 || refused["d@enddefer.y"].Code != 451 {
		t.Errorf("%v", err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if n := s.Counts(); n.Messages != 1 || n.Recipients != 2 || n.Refused != 1 || n.Deferred != 1 {
		t.Errorf("%+v", n)
	}
}

// The ledger tells what came twice, and the hash what came changed.
func TestLedger(t *testing.T) {
	l := sink.NewLedger()
	s, addr := start(t, sink.Options{Ledger: l, Verify: true})
	send := func(to, header, body string) {
		t.Helper()
		text := "Received: from x\r\n\tby y\r\n" + header + "Subject: x\r\n\r\n" + body
		if err := smtp.SendMail(addr, nil, "s@x", strings.Fields(to), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	const body = "body\r\n"
	good := fmt.Sprintf("X-Bench: 9,3,0,0,%016x\r\n", xxhash.Sum64String(body))
	send("r3.0@x r3.1@x", good, body)
	send("r3.1@x", good, body)
	send("r3.2@x", good, "body.\r\n")
	send("r4.0@x", good, body)
	send("r5.0@x", "", body)
	send("someone@x r1.99999@x r1@x r.1@x", "", body)
	if got := l.Totals(); got.Duties != 5 || got.Duplicates != 1 || got.Strange != 4 {
		t.Errorf("%+v", got)
	}
	if n := s.Counts(); n.Misdirected != 1 || n.BadHash != 3 || n.Messages != 6 {
		t.Errorf("%+v", n)
	}
	for _, c := range []struct{ run, seq, n, want int }{{9, 3, 0, 1}, {9, 3, 1, 2}, {9, 3, 2, 1}, {9, 4, 0, 1}, {0, 5, 0, 1}, {9, 5, 0, 0}, {8, 3, 0, 0}, {9, 3, 9, 0}} {
		if got := l.Count(uint64(c.run), uint64(c.seq), c.n); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestRules(t *testing.T) {
	rules, err := sink.ParseRules(strings.NewReader(`
# comment
rcpt  *           5%    451 4.2.1 try again later   # and another
rcpt  .slow.test  100%  delay 200ms
END   once.test   0.1%  drop
connect * 1% 421 busy
`))
	if err != nil || len(rules) != 4 {
		t.Fatal(rules, err)
	}
	want := []sink.Rule{
		{At: sink.AtRcpt, Percent: 5, Reply: "451 4.2.1 try again later"},
		{At: sink.AtRcpt, Domain: ".slow.test", Percent: 100, Delay: 200 * time.Millisecond},
		{At: sink.AtEnd, Domain: "once.test", Percent: 0.1, Drop: true},
		{At: sink.AtConnect, Percent: 1, Reply: "421 busy"},
	}
	for i, r := range rules {
		if r != want[i] {
			t.Errorf("%+v, not %+v", r, want[i])
		}
	}
	for _, bad := range []string{"rcpt * 5%", "quit * 5% drop", "rcpt * 0% drop", "rcpt * 101% drop", "rcpt * 5 drop", "rcpt * 5% delay", "rcpt * 5% delay x", "rcpt * 5% 250 ok", "rcpt * 5% hello", "rcpt * NaN% drop"} {
		if _, err := sink.ParseRules(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// A share is exact over a run, whatever the connections.
func TestShares(t *testing.T) {
	s, addr := start(t, sink.Options{}, sink.Rule{At: sink.AtRcpt, Percent: 2, Reply: "550 5.1.1 no"}, sink.Rule{At: sink.AtRcpt, Domain: "y.test", Percent: 12.5, Reply: "451 later"})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			exchange(t, addr, "EHLO x\r\nMAIL FROM:<>\r\n"+strings.Repeat("RCPT TO:<a@x.y.test>\r\n", 60)+strings.Repeat("RCPT TO:<a@Y.test>\r\n", 40)+"QUIT\r\n", 1<<20)
		})
	}
	wg.Wait()
	if n := s.Counts(); n.Refused != 8 || n.Deferred < 18 || n.Deferred > 20 {
		t.Errorf("%+v", n)
	}
}

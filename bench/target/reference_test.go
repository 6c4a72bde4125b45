package target

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"postrider/bench/load"
	"postrider/bench/sink"
)

// receiver takes what a script lets it.
func receiver(t *testing.T, rules ...sink.Rule) (*sink.Server, string) {
	t.Helper()
	script, err := sink.NewScript(rules...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := sink.New(sink.Options{Script: script})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

func send(t *testing.T, address string, n int64) {
	t.Helper()
	g, err := load.New(load.Options{Address: address, Conns: 4, Messages: n, Recipients: load.FixedRecipients(2), Domains: load.DomainList("a.test", "b.test")})
	if err != nil {
		t.Fatal(err)
	}
	if r := g.Run(t.Context()); r.Accepted != n || r.Err != nil {
		t.Fatalf("%d of %d accepted: %v", r.Accepted, n, r.Err)
	}
}

// until asks again and again until it holds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal(what + " does not come")
		case <-tick.C:
		}
	}
}

func start(t *testing.T, name string, o Options, need Need) Instance {
	t.Helper()
	need.Dir = t.TempDir()
	tg, err := Parse(name, o)
	if err != nil {
		t.Fatal(err)
	}
	in, err := tg.Start(t.Context(), need)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return in
}

// The reference as a process: it holds mail while suspended, hands it on, ends
// with everything when it is killed and comes again on the same address.
func TestReferenceProcess(t *testing.T) {
	for name, noGroup := range map[string]bool{"group": false, "tree": true} {
		t.Run(name, func(t *testing.T) {
			s, hop := receiver(t)
			in := start(t, "gosmtp", Options{Reference: ownReference(), NoGroup: noGroup}, Need{NextHop: hop, Suspended: true})
			queued := func() int64 {
				n, err := in.Queued(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			send(t, in.SMTP(), 30)
			if n := queued(); n != 60 {
				t.Errorf("queued %d duties, want 60", n)
			}
			if err := in.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			until(t, "an empty queue", func() bool { return queued() == 0 })
			if n := s.Counts().Recipients; n != 60 {
				t.Errorf("%d recipients came, want 60", n)
			}
			before, err := in.Meter().Sample()
			if err != nil {
				t.Fatal(err)
			}
			pids := in.PIDs()
			if len(pids) != 1 {
				t.Fatalf("processes %v, want one", pids)
			}
			if err := in.Kill(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pids[0], 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d after Kill: %v", pids[0], err)
			}
			if _, err := in.Queued(t.Context()); err == nil {
				t.Error("a killed server says what it has")
			}
			if err := in.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			// The costs of the process that was killed are not forgotten.
			if after, err := in.Meter().Sample(); err != nil || after.CPU() < before.CPU() {
				t.Errorf("CPU %v, then %v, %v", before.CPU(), after.CPU(), err)
			}
			if err := in.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if pids := in.PIDs(); len(pids) != 0 {
				t.Errorf("processes %v are left", pids)
			}
		})
	}
}

// What is refused for now is tried again, what is refused for good ends, and what
// breaks off is sent anew.
func TestReferenceRetries(t *testing.T) {
	s, hop := receiver(t,
		sink.Rule{At: sink.AtRcpt, Percent: 10, Reply: "451 4.2.1 later"},
		sink.Rule{At: sink.AtRcpt, Domain: "b.test", Reply: "550 5.1.1 nobody"},
		sink.Rule{At: sink.AtEnd, Percent: 20, Drop: true},
		sink.Rule{At: sink.AtMail, Percent: 5, Reply: "450 4.3.2 later"},
	)
	ask, answers := serveReference(t, Reference{NextHop: hop, Retry: 5 * time.Millisecond})
	send(t, answers.address, 40)
	until(t, "an empty queue", func() bool { return ask("queued") == "0" })
	// Messages go to a.test and to b.test in turn.
	if n := s.Counts().Recipients; n < 40 {
		t.Errorf("%d recipients came, want at least the 40 of a.test", n)
	}
	if got := ask("nonsense"); got != "what?" {
		t.Errorf("an unknown question is answered with %q", got)
	}
}

type served struct{ address string }

// serveReference runs it here; the function asks it.
func serveReference(t *testing.T, o Reference) (func(string) string, served) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	questionsR, questions := io.Pipe()
	answers, answersW := io.Pipe()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- o.Serve(ctx, l, questionsR, answersW) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(questions.Close(), answers.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(answers)
	return func(question string) string {
		if _, err := io.WriteString(questions, question+"\n"); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() {
			t.Fatal("no answer")
		}
		return lines.Text()
	}, served{l.Addr().String()}
}

// A queue that is full says so, and keeps what it has.
func TestReferenceFull(t *testing.T) {
	_, hop := receiver(t)
	ask, at := serveReference(t, Reference{NextHop: hop, Suspended: true, QueueBytes: 20_000})
	g, err := load.New(load.Options{Address: at.address, Messages: 10, Domains: load.DomainList("a.test")})
	if err != nil {
		t.Fatal(err)
	}
	r := g.Run(t.Context())
	if r.Accepted < 3 || r.Accepted > 4 || r.Refused != 10-r.Accepted {
		t.Errorf("accepted %d, refused %d", r.Accepted, r.Refused)
	}
	if got := ask("resume"); got != "ok" {
		t.Errorf("resume: %q", got)
	}
	until(t, "an empty queue", func() bool { return ask("queued") == "0" })
}

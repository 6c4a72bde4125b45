package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"postrider/bench/cost"
	"postrider/bench/result"
)

// server is what an adapter knows about one kind of program.
type server interface {
	// plan finds the programs and writes their configuration into n.Dir. Nothing
	// runs when it returns.
	plan(ctx context.Context, o Options, n Need) (*plan, error)
}

// plan is how a server is run and steered.
type plan struct {
	info                   result.Target
	smtp, lmtp, pop3, imap string
	data                   string

	argv    []string // of a program that stays in the foreground and ends on SIGTERM
	env     []string // added to the environment
	control bool     // its standard input and output are a dialogue; see running.ask

	queued func(context.Context, *running) (int64, error)
	reload func(context.Context, *running) error // nil: SIGHUP
	resume func(context.Context, *running) error // nil: cannot
}

// started is a Target that starts a process.
type started struct {
	name   string
	server server
	o      Options
}

// Name implements Target.
func (s started) Name() string { return s.name }

// Start implements Target.
func (s started) Start(ctx context.Context, need Need) (Instance, error) {
	need = need.withDefaults()
	fail := func(err error) (Instance, error) { return nil, fmt.Errorf("%s: %w", s.name, err) }
	dir, err := filepath.Abs(need.Dir)
	if err != nil || need.Dir == "" {
		return fail(errors.Join(errors.New("a scratch folder must be given"), err))
	}
	if need.HopLMTP && need.NextHop == "" {
		return fail(errors.New("LMTP needs a next hop"))
	}
	need.Dir = dir
	p, err := s.server.plan(ctx, s.o, need)
	if err != nil {
		return fail(err)
	}
	p.info.Name = s.name
	if need.SlowSync > 0 {
		if p.argv, err = slowSyncs(p.argv, need.SlowSync); err != nil {
			return fail(err)
		}
	}
	if s.o.CPUs != "" {
		if p.argv, err = pinned(p.argv, s.o.CPUs); err != nil {
			return fail(err)
		}
	}
	r := &running{plan: p, dir: dir, box: newBox(strings.ReplaceAll(s.name, ":", "-"), s.o.NoGroup)}
	if err := r.launch(ctx); err != nil {
		return fail(errors.Join(err, r.Stop(context.WithoutCancel(ctx))))
	}
	return r, nil
}

const (
	// startPatience is how long a server may take until it answers: a big queue is
	// read at the start.
	startPatience = 60 * time.Second
	// stopPatience is how long it may take to end when told to, before it is killed.
	stopPatience = 10 * time.Second
	// killPatience is how long processes may take to end after SIGKILL.
	killPatience = 30 * time.Second
)

// running is an Instance that is made of processes.
type running struct {
	plan *plan
	dir  string
	box  *box

	mu struct {
		sync.Mutex
		// guards following
		main    *process // nil: it does not run
		stopped bool
	}
}

// process is the one that was started; it may have others under it.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it has been waited for
	dialog *dialog       // nil: plan.control is false
}

// launch starts the server and waits until it answers.
func (r *running) launch(ctx context.Context) error {
	cmd := exec.Command(r.plan.argv[0], r.plan.argv[1:]...)
	cmd.Dir = r.dir
	cmd.Env = environment(r.plan.env)
	// A session of its own, so that a Ctrl-C at the terminal is ours alone, and an end
	// with ours, should that come without Stop.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(r.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stderr = log
	p := &process{cmd: cmd, ended: make(chan struct{})}
	if !r.plan.control {
		cmd.Stdout = log
	} else if p.dialog, err = newDialog(cmd); err != nil {
		return err
	}
	if err := r.box.start(cmd); err != nil {
		if p.dialog != nil {
			p.dialog.close()
		}
		return err
	}
	r.mu.Lock()
	r.mu.main = p
	r.mu.Unlock()
	go func() {
		_ = cmd.Wait() // how it ended does not matter, that it did is seen
		close(p.ended)
	}()
	return r.await(ctx, p)
}

func (r *running) logPath() string { return filepath.Join(r.dir, "stderr.log") }

// await returns when every address greets.
func (r *running) await(ctx context.Context, p *process) error {
	limited, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for _, address := range []string{r.plan.smtp, r.plan.lmtp, r.plan.pop3, r.plan.imap} {
		if address == "" {
			continue
		}
		if err := awaitGreeting(limited, address, p.ended); err != nil {
			return fmt.Errorf("%w%s", err, r.lastWords())
		}
	}
	return nil
}

// lastWords returns the end of what the server said about itself.
func (r *running) lastWords() string {
	var said strings.Builder
	for _, name := range []string{r.logPath(), filepath.Join(r.dir, logName), filepath.Join(r.dir, "log", "paniclog")} {
		text, err := os.ReadFile(name)
		if err != nil || len(text) == 0 {
			continue
		}
		const enough = 1500
		fmt.Fprintf(&said, "\n%s:\n%s", filepath.Base(name), text[max(0, len(text)-enough):])
	}
	return said.String()
}

// process returns the one that was started last, nil when it has ended.
func (r *running) process() *process {
	r.mu.Lock()
	p := r.mu.main
	r.mu.Unlock()
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
		return nil
	default:
		return p
	}
}

var errNotRunning = errors.New("it does not run")

// signal sends one to the process that was started.
func (r *running) signal(s syscall.Signal) error {
	p := r.process()
	if p == nil {
		return errNotRunning
	}
	return p.cmd.Process.Signal(s)
}

// end tells the server to end, and kills what has not after a while.
func (r *running) end(ctx context.Context) error {
	if p := r.process(); p != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended; killing is next anyway
		patience := time.NewTimer(stopPatience)
		defer patience.Stop()
		select {
		case <-p.ended:
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	return r.Kill(context.WithoutCancel(ctx))
}

// Info implements Instance.
func (r *running) Info() result.Target { return r.plan.info }

// SMTP implements Instance.
func (r *running) SMTP() string { return r.plan.smtp }

// LMTP implements Instance.
func (r *running) LMTP() string { return r.plan.lmtp }

// POP3 implements Instance.
func (r *running) POP3() string { return r.plan.pop3 }

// IMAP implements Instance.
func (r *running) IMAP() string { return r.plan.imap }

// DataDir implements Instance.
func (r *running) DataDir() string { return r.plan.data }

// Meter implements Instance.
func (r *running) Meter() cost.Meter { return r.box }

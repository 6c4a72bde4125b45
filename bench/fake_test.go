package bench_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postrider/bench"
	"postrider/bench/cost"
	"postrider/bench/result"
	"postrider/bench/sink"
	"postrider/bench/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a target in this process. Its servers hand what comes straight to the
// next hop, or take it and forget it.
type fake struct {
	name    string
	forgets bool
	queued  int64                             // what it claims to have
	address func(target.Need) (string, error) // where mail goes; nil: the next hop
	calls   [5]atomic.Int64                   // kill, restart, reload, resume, stop
	starts  func(name string, n target.Need)  // told of each start; may be nil
	errs    map[string]error                  // of calls
}

const (
	killed = iota
	restarted
	reloaded
	resumed
	stopped
)

func (f *fake) Name() string { return f.name }

func (f *fake) Start(ctx context.Context, n target.Need) (target.Instance, error) {
	if err := f.errs["start"]; err != nil {
		return nil, err
	}
	if f.starts != nil {
		f.starts(f.name, n)
	}
	i := &instance{f: f, dir: n.Dir, smtp: n.NextHop}
	if f.address != nil {
		var err error
		if i.smtp, err = f.address(n); err != nil {
			return nil, err
		}
	}
	if f.forgets {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		i.smtp = l.Addr().String()
		var run context.Context
		run, i.cancel = context.WithCancel(context.WithoutCancel(ctx))
		i.wg.Go(func() { i.err = sink.New(sink.Options{}).Serve(run, l) })
	}
	return i, nil
}

type instance struct {
	f      *fake
	dir    string
	smtp   string
	cancel context.CancelFunc
	wg     sync.WaitGroup
	err    error
}

func (i *instance) Info() result.Target { return result.Target{Name: i.f.name} }
func (i *instance) SMTP() string        { return i.smtp }
func (i *instance) LMTP() string        { return "" }
func (i *instance) POP3() string        { return "" }
func (i *instance) IMAP() string        { return "" }
func (i *instance) Meter() cost.Meter   { return clock{} }
func (i *instance) PIDs() []int         { return nil }
func (i *instance) DataDir() string     { return i.dir }

func (i *instance) Queued(context.Context) (int64, error) { return i.f.queued, i.f.errs["queued"] }

func (i *instance) call(n int) error {
	i.f.calls[n].Add(1)
	return i.f.errs[fmt.Sprint(n)]
}

func (i *instance) Kill(context.Context) error    { return i.call(killed) }
func (i *instance) Restart(context.Context) error { return i.call(restarted) }
func (i *instance) Reload(context.Context) error  { return i.call(reloaded) }
func (i *instance) Resume(context.Context) error  { return i.call(resumed) }

func (i *instance) Stop(context.Context) error {
	err := i.call(stopped)
	if i.cancel != nil {
		i.cancel()
		i.wg.Wait()
	}
	return errors.Join(err, i.err)
}

// clock is a Meter of a server that uses a hundredth of a core and 5 MB: at rest.
type clock struct{}

func (clock) By() string { return "clock" }

func (clock) Sample() (cost.Sample, error) {
	now := time.Now()
	return cost.Sample{At: now, User: time.Duration(now.UnixNano() / 100), RSSBytes: 5 << 20, RSSPeakBytes: 5 << 20}, nil
}

// scenario reads one from text, checked.
func scenario(t *testing.T, name, text string) *bench.Scenario {
	t.Helper()
	s, err := bench.Parse(name, []byte("about = \"a test\"\n"+text), false)
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

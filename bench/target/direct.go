package target

import (
	"context"
	"errors"
	"fmt"

	"postrider/bench/cost"
	"postrider/bench/result"
)

// direct is no server: mail goes to the next hop straight away.
type direct struct{}

// Name implements Target.
func (direct) Name() string { return "direct" }

// Start implements Target.
func (direct) Start(_ context.Context, need Need) (Instance, error) {
	if need.NextHop == "" {
		return nil, errors.New("direct: it needs a next hop")
	}
	if need.Suspended {
		return nil, fmt.Errorf("direct: suspended delivery: %w", ErrUnsupported)
	}
	f := foreign{info: result.Target{Name: "direct"}, smtp: need.NextHop, meter: unmetered{}}
	if need.HopLMTP {
		f.smtp, f.lmtp = "", need.NextHop
	}
	return f, nil
}

// foreign is an Instance that is nobody's here to start or to end.
type foreign struct {
	info                   result.Target
	smtp, lmtp, pop3, imap string
	meter                  cost.Meter
	pids                   func() []int // nil: not known
	close                  func() error // nil: nothing to close
	queue                  bool         // it may hold mail, and nobody knows how much
}

// Info implements Instance.
func (f foreign) Info() result.Target { return f.info }

// SMTP implements Instance.
func (f foreign) SMTP() string { return f.smtp }

// LMTP implements Instance.
func (f foreign) LMTP() string { return f.lmtp }

// POP3 implements Instance.
func (f foreign) POP3() string { return f.pop3 }

// IMAP implements Instance.
func (f foreign) IMAP() string { return f.imap }

// Meter implements Instance.
func (f foreign) Meter() cost.Meter { return f.meter }

// DataDir implements Instance.
func (foreign) DataDir() string { return "" }

// PIDs implements Instance.
func (f foreign) PIDs() []int {
	if f.pids == nil {
		return nil
	}
	return f.pids()
}

// Queued implements Instance: without a server nothing waits, and of a server of
// somebody else's it is not known.
func (f foreign) Queued(context.Context) (int64, error) {
	if f.queue {
		return 0, f.cannot("ask for the queue")
	}
	return 0, nil
}

// Kill implements Instance.
func (f foreign) Kill(context.Context) error { return f.cannot("kill") }

// Restart implements Instance.
func (f foreign) Restart(context.Context) error { return f.cannot("restart") }

// Reload implements Instance.
func (f foreign) Reload(context.Context) error { return f.cannot("reload") }

// Resume implements Instance.
func (f foreign) Resume(context.Context) error { return f.cannot("resume") }

// Stop implements Instance.
func (f foreign) Stop(context.Context) error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

func (f foreign) cannot(what string) error {
	return fmt.Errorf("%s: %s: %w", f.info.Name, what, ErrUnsupported)
}

// unmetered is the Meter of a server whose processes are not known.
type unmetered struct{}

// Sample implements cost.Meter.
func (unmetered) Sample() (cost.Sample, error) {
	return cost.Sample{}, fmt.Errorf("cost: %w", ErrUnsupported)
}

// By implements cost.Meter.
func (unmetered) By() string { return "" }

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"postrider/bench/calibrate"
	"postrider/bench/cost"
	"postrider/bench/result"
	"postrider/bench/target"
)

// measure loads the server, waits for what it owes and draws the account up.
func (r *round) measure(ctx context.Context) (run *result.Run, others float64, err error) {
	meter := r.meter()
	metered := true
	r.flush()
	// What a server still prepares when it answers already is not the run's.
	if _, err := cost.AwaitIdle(ctx, meter, settleTime); err != nil && !errors.Is(err, target.ErrUnsupported) {
		return nil, 0, fmt.Errorf("cost of the server: %w", err)
	}
	before, err := meter.Sample()
	if errors.Is(err, target.ErrUnsupported) {
		metered, err = false, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("cost of the server: %w", err)
	}
	used, err := readUsage()
	if err != nil {
		return nil, 0, err
	}
	crowds, err := r.gather(ctx)
	defer func() {
		for _, c := range crowds {
			c.disperse()
		}
	}()
	if err != nil {
		return nil, 0, err
	}
	r.emptyRSS = before.RSSBytes
	if dir := r.server.DataDir(); dir != "" {
		if r.emptyDisk, err = cost.DiskUsage(dir); err != nil {
			return nil, 0, fmt.Errorf("disk of the server: %w", err)
		}
	}
	run = r.header()
	if r.s.Access.Workload != "" {
		err = r.access(ctx, run)
	} else {
		err = r.mail(ctx, run)
	}
	if err != nil {
		return nil, 0, err
	}
	after := before
	if metered {
		if err := r.stop(); err != nil {
			return nil, 0, err
		}
		after = *r.after
		run.Cost = cost.Between(before, after, run.Load.Messages, run.Load.Bytes)
		run.Cost.By = meter.By()
		run.Cost.DiskPerQueued, run.Cost.RSSPerQueued = r.diskPerQueued, r.rssPerQueued
		if a := r.s.Access; a.Workload == "idle" {
			each := float64(run.Cost.RSSPeakBytes-before.RSSBytes) / float64(max(1, a.Conns))
			run.Values = append(run.Values, result.Value{Name: "memory of a client that waits", Unit: "B", Got: each})
		}
	}
	now, err := readUsage()
	if err != nil {
		return nil, 0, err
	}
	own := now.own - used.own
	run.Load.OwnCPUMicros = float64(own.Microseconds()) / float64(max(1, run.Load.Messages))
	others = calibrate.Others(used.machine, now.machine, own+after.CPU()-before.CPU())
	r.crowdValues(run, crowds)
	r.judge(run)
	return run, others, nil
}

// settleTime is how long a server may take to come to rest before the load begins.
const settleTime = 10 * time.Second

// meter reads the server, and the bytes that reach its disk where that can be told:
// what processes are said to write is several times as much on some kernels.
func (r *round) meter() cost.Meter {
	m := r.server.Meter()
	if d, err := cost.OnDevice(m, r.dir); err == nil {
		return d
	}
	return m
}

// flush lets the disk have what it is owed, so that it is counted.
func (r *round) flush() {
	if f, err := os.Open(r.dir); err == nil {
		// Best effort: a file system that can't is counted as it stands.
		_ = unix.Syncfs(int(f.Fd()))
		_ = f.Close()
	}
}

// stop reads the server's cost at the end of its work: the first call counts.
func (r *round) stop() error {
	if r.after != nil {
		return nil
	}
	r.flush()
	s, err := r.meter().Sample()
	if err != nil && !errors.Is(err, target.ErrUnsupported) {
		return fmt.Errorf("cost of the server: %w", err)
	}
	r.after = &s
	return nil
}

// gather opens the connections of every crowd.
func (r *round) gather(ctx context.Context) ([]*crowd, error) {
	var crowds []*crowd
	for _, i := range r.s.Idle {
		address := map[string]string{"": r.server.SMTP(), "smtp": r.server.SMTP(), "pop3": r.server.POP3(), "imap": r.server.IMAP()}[i.Service]
		before, err := r.server.Meter().Sample()
		c, gerr := gather(ctx, i, address)
		if gerr != nil {
			return crowds, gerr
		}
		crowds = append(crowds, c)
		if err != nil {
			continue // its cost can't be read
		}
		after, err := r.server.Meter().Sample()
		if err != nil {
			return crowds, fmt.Errorf("cost of the server: %w", err)
		}
		c.bytesEach = float64(after.RSSBytes-before.RSSBytes) / float64(i.Conns)
	}
	return crowds, nil
}

// waiting measures what a message costs that waits, while delivery is suspended.
func (r *round) waiting(run *result.Run) error {
	n := r.ledger.Owed()
	if n == 0 {
		return nil
	}
	if dir := r.server.DataDir(); dir != "" {
		bytes, err := cost.DiskUsage(dir)
		if err != nil {
			return fmt.Errorf("disk of the queue: %w", err)
		}
		r.diskPerQueued = float64(bytes-r.emptyDisk) / float64(n)
	}
	s, err := r.server.Meter().Sample()
	if err != nil {
		return fmt.Errorf("cost of the server: %w", err)
	}
	r.rssPerQueued = max(0, float64(s.RSSBytes-r.emptyRSS)/float64(n))
	return nil
}

package target

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"postrider/bench/cost"
)

// box holds all processes of one server, through restarts: a control group where
// one can be made, else the trees of the processes that were started one after
// the other. It is their Meter.
type box struct {
	group *cost.Group // nil: by tree

	mu struct {
		sync.Mutex
		// guards following
		tree  *cost.Tree  // of the process started last; nil before
		ended cost.Sample // of the trees before it
	}
}

// newBox makes a control group unless the caller wants none or has no right to.
func newBox(name string, noGroup bool) *box {
	b := &box{}
	if noGroup {
		return b
	}
	if g, err := cost.NewGroup("postbench-" + name); err == nil {
		b.group = g
	}
	return b
}

// start starts cmd in the box.
func (b *box) start(cmd *exec.Cmd) error {
	if b.group != nil {
		return b.group.Start(cmd)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	tree, err := cost.ProcessTree(cmd.Process.Pid)
	if err != nil {
		return nil // it has ended already, as whoever waits for it will find
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.mu.tree; old != nil {
		if s, err := old.Sample(); err == nil {
			b.mu.ended = sum(b.mu.ended, s)
		}
	}
	b.mu.tree = tree
	return nil
}

// sum adds what two sets of processes used; what is of the moment is b's.
func sum(a, b cost.Sample) cost.Sample {
	b.User += a.User
	b.System += a.System
	b.RSSPeakBytes = max(a.RSSPeakBytes, b.RSSPeakBytes)
	b.WrittenBytes += a.WrittenBytes
	b.ContextSwitches += a.ContextSwitches
	return b
}

// By implements cost.Meter.
func (b *box) By() string {
	if b.group != nil {
		return b.group.By()
	}
	return "process tree"
}

// Sample implements cost.Meter.
func (b *box) Sample() (cost.Sample, error) {
	if b.group != nil {
		return b.group.Sample()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.tree == nil {
		return cost.Sample{At: time.Now()}, nil
	}
	s, err := b.mu.tree.Sample()
	if err != nil {
		return s, err
	}
	return sum(b.mu.ended, s), nil
}

// pids are the processes that run now.
func (b *box) pids() ([]int, error) {
	if b.group != nil {
		return b.group.PIDs()
	}
	b.mu.Lock()
	tree := b.mu.tree
	b.mu.Unlock()
	if tree == nil {
		return nil, nil
	}
	return tree.PIDs()
}

// kill ends all processes and waits until there are none.
func (b *box) kill(ctx context.Context) error {
	if b.group != nil {
		return b.group.Kill(ctx)
	}
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		// A sample takes note of all processes, so that those whose parent is killed
		// below are found in the next round.
		if _, err := b.Sample(); err != nil {
			return err
		}
		pids, err := b.pids()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended; the next round tells
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes do not end: %w", len(pids), ctx.Err())
		case <-pause.C:
		}
	}
}

// close removes the group, which must be empty.
func (b *box) close() error {
	if b.group == nil {
		return nil
	}
	return b.group.Close()
}

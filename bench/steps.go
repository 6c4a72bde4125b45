package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"postrider/bench/target"
)

// stepper does the steps of a scenario while the server is under load.
type stepper struct {
	at    target.Instance
	dir   string // the small disk of the server, for fill
	say   func(format string, args ...any)
	kills atomic.Int64
	done  atomic.Int64
}

// run does one step as often as it says, and returns when it is over or ctx ends.
func (p *stepper) run(ctx context.Context, s Step, random *rand.Rand) error {
	next := s.At.D()
	for n := 1; ; n++ {
		if !pause(ctx, next) {
			return nil
		}
		if err := p.do(ctx, s.Do); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("step %s: %w", s.Do, err)
		}
		p.done.Add(1)
		if s.Every == 0 || s.Times > 0 && n >= s.Times {
			return nil
		}
		next = s.Every.D()
		if s.Jitter {
			next = time.Duration(random.Int64N(int64(s.Every)) + int64(s.Every)/2)
		}
	}
}

func (p *stepper) do(ctx context.Context, what string) error {
	// A step that has begun is finished: a server that was killed comes back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	switch what {
	case "kill":
		p.kills.Add(1)
		if err := p.at.Kill(ctx); err != nil {
			return err
		}
		return p.at.Restart(ctx)
	case "restart":
		return p.at.Restart(ctx)
	case "reload":
		return p.at.Reload(ctx)
	case "resume":
		return p.at.Resume(ctx)
	case "fill":
		p.say("filling the server's disk")
		return fill(filepath.Join(p.dir, ballast))
	case "empty":
		p.say("giving the server's disk its room back")
		return os.Remove(filepath.Join(p.dir, ballast))
	}
	return fmt.Errorf("there is no such step")
}

// ballast is the file that takes a disk's room.
const ballast = "postbench-ballast"

// fill writes until the file system has no room.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<16)
	for len(block) > 512 {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2] // the last bytes too
		}
	}
	return f.Close()
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/bench/calibrate"
)

// mountDisk puts a small file system of its own on dir.
func mountDisk(dir, what string) (unmount func(), err error) {
	size, _ := strings.CutPrefix(what, "tmpfs:")
	bytes, err := parseBytes(size)
	if err != nil {
		return nil, err
	}
	if err := unix.Mount("postbench", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=755", bytes)); err != nil {
		return nil, fmt.Errorf("server.disk = %q: mounting needs root: %w", what, err)
	}
	return func() {
		// Lazily, so that a straggler can't keep it.
		_ = unix.Unmount(dir, unix.MNT_DETACH)
	}, nil
}

// probe reads what the machine can do at the moment; nothing when that was not
// asked for.
func (p *Plan) probe(ctx context.Context) (calibrate.Reading, error) {
	if !p.Calibrate {
		return calibrate.Reading{}, nil
	}
	return calibrate.Probe(ctx, p.Dir)
}

// usage is what this process and the whole machine have used.
type usage struct {
	own     time.Duration
	machine calibrate.Busy
}

func readUsage() (usage, error) {
	own, err := calibrate.OwnCPU()
	if err != nil {
		return usage{}, err
	}
	machine, err := calibrate.ReadBusy()
	return usage{own, machine}, err
}

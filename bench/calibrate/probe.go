package calibrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	syncRounds = 200         // enough for a median that repeats within some percent
	syncTime   = time.Second // at most, whatever the disk
	block      = 4096        // bytes: a page, the least that is written
	spinRounds = 5
	spinSteps  = 8 << 20 // about 15 ms on a core of 2020
)

// Reading is the result of the probes.
type Reading struct {
	SyncMicros int64   // median of an overwrite and its fdatasync
	SyncRounds int     // of which it is the median
	SpinMillis float64 // median of a fixed piece of arithmetic
}

// Probe makes both probes; the file for the syncs is made in dir and removed. It
// takes at most a second and a bit, or until ctx ends.
func Probe(ctx context.Context, dir string) (Reading, error) {
	times, err := syncs(ctx, dir)
	if err != nil {
		return Reading{}, fmt.Errorf("sync probe: %w", err)
	}
	spins := make([]time.Duration, 0, spinRounds)
	for i := range spinRounds {
		began := time.Now()
		if spin(uint64(i)+1) == 0 {
			return Reading{}, errors.New("spin probe: a state that xorshift cannot reach")
		}
		spins = append(spins, time.Since(began))
	}
	return Reading{
		SyncMicros: median(times).Microseconds(),
		SyncRounds: len(times),
		SpinMillis: float64(median(spins)) / float64(time.Millisecond),
	}, nil
}

// syncs overwrites the first page of a file that has its blocks, so that a sync
// moves data and no allocation.
func syncs(ctx context.Context, dir string) (times []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, block)
	if _, err := f.WriteAt(page, 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(syncTime)
	for i := 0; i < syncRounds && (i == 0 || time.Now().Before(deadline)); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		page[0] = byte(i + 1)
		began := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

// spin does work that no compiler can leave out, and touches no memory.
func spin(state uint64) uint64 {
	for range spinSteps {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
	}
	return state
}

// median returns the middle of times, which it sorts.
func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)/2]
}

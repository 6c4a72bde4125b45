// Package calibrate says how far a measurement may be believed: what machine it
// was made on, how fast that machine was before and after, how much of it others
// used, and whether the harness was the limit.
//
// Two small probes are made around each run: the median of a 4 KiB overwrite with
// fdatasync, and a fixed piece of arithmetic. They are not benchmarks of the
// machine; they are compared with themselves. When one of them has changed by more
// than NoisyPercent, the machine was not the same before and after, and the run is
// stamped. A run that reached more than LimitedShare of what generator and sink
// can do without a server is stamped as well, for it may have measured those.
//
// # Concurrency
//
// All functions are safe for concurrent use, and nothing runs when they have
// returned. Probes that run at the same time disturb each other.
package calibrate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"postrider/bench/result"
)

const (
	// NoisyPercent is the drift above which the machine is called noisy.
	NoisyPercent = 10
	// BusyPercent is the share of others above which the machine is called busy.
	BusyPercent = 10
	// LimitedShare is the share of the ceiling above which the harness may have been
	// the limit.
	LimitedShare = 0.7
)

// Around makes the Calibration of a run from the readings on both sides of it, the
// ceiling in messages a second (0: not measured), and the share of others.
func Around(before, after Reading, ceiling, othersPercent float64) result.Calibration {
	return result.Calibration{
		CeilingRate:   ceiling,
		SyncMicros:    [2]int64{before.SyncMicros, after.SyncMicros},
		SpinMillis:    [2]float64{before.SpinMillis, after.SpinMillis},
		DriftPercent:  Drift(before, after),
		OthersPercent: othersPercent,
	}
}

// Drift returns the larger of the changes of the two probes, in percent of the
// smaller value of each: it is the same in both directions, and never negative.
func Drift(before, after Reading) float64 {
	return max(
		change(float64(before.SyncMicros), float64(after.SyncMicros)),
		change(before.SpinMillis, after.SpinMillis),
	)
}

func change(a, b float64) float64 {
	low, high := min(a, b), max(a, b)
	if low <= 0 {
		return 0 // that probe was not made
	}
	return (high/low - 1) * 100
}

// Ceiling measures what the harness does without a server: run sends messages from
// the generator straight to the sink, and returns how many arrived. The rate is of
// messages a second.
func Ceiling(ctx context.Context, run func(context.Context) (messages int64, err error)) (rate float64, err error) {
	began := time.Now()
	messages, err := run(ctx)
	seconds := time.Since(began).Seconds()
	if err != nil {
		return 0, fmt.Errorf("ceiling: %w", err)
	}
	if messages == 0 || seconds <= 0 {
		return 0, errors.New("ceiling: no message arrived")
	}
	return float64(messages) / seconds, nil
}

// OfCeiling returns the share of the ceiling that a rate is; 0: no ceiling is
// known.
func OfCeiling(rate, ceiling float64) float64 {
	if ceiling <= 0 {
		return 0
	}
	return rate / ceiling
}

// Stamps returns why the figures of a run deserve doubt, as far as calibration can
// tell. A run with no calibration says so.
func Stamps(run *result.Run) []string {
	c := run.Calibrate
	if c == nil {
		return []string{"not calibrated"}
	}
	var stamps []string
	share := run.Load.OfCeiling
	if share == 0 {
		share = OfCeiling(run.Load.AcceptRate, c.CeilingRate)
	}
	if share > LimitedShare {
		stamps = append(stamps, fmt.Sprintf("harness-limited: %.0f %% of the ceiling", share*100))
	}
	if c.DriftPercent > NoisyPercent || math.IsNaN(c.DriftPercent) {
		stamps = append(stamps, fmt.Sprintf("noisy machine: drift of %.0f %%", c.DriftPercent))
	}
	if c.OthersPercent > BusyPercent {
		stamps = append(stamps, fmt.Sprintf("busy machine: others used %.0f %% of it", c.OthersPercent))
	}
	return stamps
}

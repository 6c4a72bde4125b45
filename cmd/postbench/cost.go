package main

import (
	"encoding/json"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// cost is what this process has used since it began to be of use.
type cost struct{ from time.Duration }

func newCost() cost { return cost{from: cpuTime()} }

// perMessage returns the processor time of this process for each of n messages,
// in microseconds.
func (c cost) perMessage(n int64) float64 {
	if n <= 0 {
		return 0
	}
	return float64((cpuTime() - c.from).Nanoseconds()) / 1000 / float64(n)
}

// cpuTime is the user and system time of this process so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	// The only error is for a bad argument.
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writeJSON writes v as one line.
func writeJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

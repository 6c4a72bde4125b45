package calibrate

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Busy is how long the cores of this machine have worked, and could have worked,
// since it was started.
type Busy struct {
	Used, Whole time.Duration
}

// ReadBusy reads now. Time that the hypervisor gave to other machines is used.
func ReadBusy() (Busy, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return Busy{}, fmt.Errorf("use of the machine: %w", err)
	}
	return readBusy(proc)
}

func readBusy(proc procfs.FS) (Busy, error) {
	stat, err := proc.Stat()
	if err != nil {
		return Busy{}, fmt.Errorf("use of the machine: %w", err)
	}
	c := stat.CPUTotal
	// Guests are in User already.
	used := c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ + c.Steal
	return Busy{Used: seconds(used), Whole: seconds(used + c.Idle + c.Iowait)}, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Others returns the share of the machine, in percent, that was used from a to b
// by neither the harness nor the server, which used known of CPU together.
func Others(a, b Busy, known time.Duration) float64 {
	whole := b.Whole - a.Whole
	if whole <= 0 {
		return 0
	}
	return max(0, float64(b.Used-a.Used-known)) / float64(whole) * 100
}

// OwnCPU returns what this process has used, on all its threads.
func OwnCPU() (time.Duration, error) {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return 0, fmt.Errorf("own CPU: %w", err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano()), nil
}

// Package cost measures what a server under test uses, whichever server it is: a
// control group or a tree of processes is read from outside and nothing is asked
// from the server itself.
//
// A Meter is read twice and Between makes the figures. In order of honesty:
//
//   - a Group (version 1 or 2 of the kernel's control groups) holds every process
//     that was ever started in it: the CPU of a process that lived for a
//     millisecond counts.
//   - ProcessTree follows a process and its descendants through /proc. It keeps
//     what processes had used that have ended, as far as their parents waited for
//     them or they were seen once; see there for what it misses.
//
// # What the figures mean
//
// Resident memory is anonymous and shared memory: neither the page cache, which
// the kernel takes away when it needs it, nor the text of programs, which a
// server of many processes would count many times. The peak is the largest value
// that a Sample saw.
//
// Bytes written come from the best of three sources, and Sample.WrittenBy says
// which: io.stat of a version 2 group; the device that holds a folder (OnDevice),
// which counts everybody's writes and is right when nobody else writes; and
// write_bytes of /proc/PID/io, which counts the pages that were made dirty, not
// what reached a disk: a page that is written again before it is flushed counts
// once, one that is deleted before counts as well, and where the page cache uses
// large folios a write of a few bytes may count a whole folio. Version 1 groups
// do not know who caused a flush of the page cache, so their blkio counters are
// not used.
//
// Context switches and open files are those of the processes; of a thread that
// ended, what was seen of it at the last Sample.
//
// Bytes sent over the network are not measured: neither kind of group counts
// them.
//
// # Durability
//
// AuditSyncs counts syncs by strace for a short time. Verify finds the durability
// class of a server by killing it and by watching the order of its syncs and
// replies; see Verdict.
//
// # Concurrency
//
// A Meter is safe for concurrent use. Nothing here runs in the background: a
// goroutine or a strace that a call starts has ended when the call returns.
package cost

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"postrider/bench/result"
)

// Sample is the reading of a Meter: totals since the server began, and some
// values of the moment.
type Sample struct {
	At           time.Time
	User, System time.Duration

	RSSBytes     int64 // now
	RSSPeakBytes int64 // the largest RSSBytes that this Meter has seen

	WrittenBytes int64
	WrittenBy    string // "cgroup", "device" or "processes"; "" when unknown

	ContextSwitches int64
	OpenFiles       int64 // now
	Processes       int64 // now
}

// CPU returns the time of both kinds.
func (s Sample) CPU() time.Duration { return s.User + s.System }

// Meter reads what a server uses.
type Meter interface {
	// Sample reads now. It costs some file reads for each process.
	Sample() (Sample, error)
	// By says what is read: "cgroup v1", "cgroup v2" or "process tree".
	By() string
}

// Between returns the cost of what happened from a to b, in which messages were
// accepted with bytes of text. The counts of an audit are for the caller to fill
// in; By as well, from the Meter.
func Between(a, b Sample, messages, bytes int64) result.Cost {
	total := max(0, b.CPU()-a.CPU())
	// How a total is divided is an estimate in some kernels, and may shift.
	user := min(max(0, b.User-a.User), total)
	c := result.Cost{
		WrittenBy:     b.WrittenBy,
		UserSeconds:   user.Seconds(),
		SystemSeconds: (total - user).Seconds(),
		RSSPeakBytes:  b.RSSPeakBytes,
		OpenFiles:     b.OpenFiles,

		ContextSwitches: max(0, b.ContextSwitches-a.ContextSwitches),
	}
	if a.WrittenBy == b.WrittenBy {
		c.WrittenBytes = max(0, b.WrittenBytes-a.WrittenBytes)
	} else {
		c.WrittenBy = ""
	}
	cpu := total.Seconds()
	if messages > 0 {
		c.CPUSecondsPer1000 = cpu / float64(messages) * 1000
		if cpu > 0 {
			c.MessagesPerCPUSecond = float64(messages) / cpu
		}
	}
	if bytes > 0 {
		c.WrittenPerByte = float64(c.WrittenBytes) / float64(bytes)
	}
	return c
}

// DiskUsage returns the bytes that dir and everything below it occupy: allocated
// blocks, so that a sparse or preallocated file counts as what it takes; a file
// with several names counts once, and other file systems mounted below do not
// count. A file that goes away meanwhile is none.
func DiskUsage(dir string) (int64, error) {
	type file struct{ dev, inode uint64 }
	var total int64
	seen := make(map[file]bool)
	var device uint64
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) && name != dir {
				return nil
			}
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) && name != dir {
			return nil
		}
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("no block counts on this system")
		}
		if name == dir {
			device = st.Dev
		} else if st.Dev != device {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.IsDir() && st.Nlink > 1 {
			if seen[file{st.Dev, st.Ino}] {
				return nil
			}
			seen[file{st.Dev, st.Ino}] = true
		}
		total += st.Blocks * 512 // st_blocks has units of 512 bytes whatever the file system's are
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("disk usage of %s: %w", dir, err)
	}
	return total, nil
}

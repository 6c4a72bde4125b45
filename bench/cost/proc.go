package cost

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// tick is the unit of the times in /proc/PID/stat. The kernel's is a constant
// towards programs on every architecture that Go runs on.
const tick = time.Second / 100

// process is a process at one moment. The PID alone does not name one: it is
// given again, and not with the same beginning.
type process struct {
	id      procID
	parent  int
	ended   bool // it only waits for its parent to ask
	own     cpu  // of its threads, also those that ended
	waited  cpu  // of children that ended and were waited for, and of theirs
	count   int  // of threads
	written int64
	rss     int64
	threads map[procID]int64 // context switches
	files   int64
}

// procID names a process or thread for good.
type procID struct {
	pid   int
	since uint64 // ticks after boot
}

// cpu is a pair of times.
type cpu struct{ user, system time.Duration }

func (c cpu) plus(d cpu) cpu                { return cpu{c.user + d.user, c.system + d.system} }
func (c cpu) total() time.Duration          { return c.user + c.system }
func ticks[T uint | int](n T) time.Duration { return time.Duration(n) * tick }

// gone reports whether err says that the process is no more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// readStat returns what /proc/PID/stat says: who it is, and its times.
func readStat(proc procfs.FS, pid int) (process, error) {
	p, err := proc.Proc(pid)
	if err != nil {
		return process{}, err
	}
	st, err := p.Stat()
	if err != nil {
		return process{}, err
	}
	return process{
		id:     procID{pid, st.Starttime},
		parent: st.PPID,
		count:  st.NumThreads,
		ended:  st.State == "Z" || st.State == "X",
		own:    cpu{ticks(st.UTime), ticks(st.STime)},
		waited: cpu{ticks(st.CUTime), ticks(st.CSTime)},
	}, nil
}

// readUse adds to p what else it uses. A process that ends meanwhile, a zombie,
// and files that may not be read leave zeros: they have no memory and no files, or
// it cannot be known.
func readUse(proc procfs.FS, p *process) {
	handle, err := proc.Proc(p.id.pid)
	if err != nil {
		return
	}
	p.threads = make(map[procID]int64, p.count)
	var ran time.Duration
	status, err := handle.NewStatus()
	if err != nil {
		return
	}
	p.rss = int64(status.RssAnon + status.RssShmem)
	if io, err := handle.IO(); err == nil {
		p.written = int64(io.WriteBytes)
	}
	if n, err := handle.FileDescriptorsLen(); err == nil {
		p.files = int64(n)
	}
	if p.count == 1 { // the files of the process are those of its thread
		p.threads[p.id] = int64(status.TotalCtxtSwitches())
		if st, err := handle.Schedstat(); err == nil {
			ran = time.Duration(st.RunningNanoseconds)
		}
	} else {
		ran = readThreads(proc, p)
	}
	// The threads that are there know their time to the nanosecond; the process, whose
	// times have those that ended in them too, in whole ticks rounded down.
	if ran > p.own.total() {
		p.own.user, p.own.system = divide(ran, int64(p.own.user), int64(p.own.system))
	}
}

// readThreads reads the context switches of each thread of p and returns how long
// they ran: the files of a process have those of its first thread only.
func readThreads(proc procfs.FS, p *process) (ran time.Duration) {
	threads, err := proc.AllThreads(p.id.pid)
	if err != nil {
		return 0
	}
	for _, t := range threads {
		if st, err := t.NewStatus(); err == nil {
			p.threads[procID{t.PID, p.id.since}] = int64(st.TotalCtxtSwitches())
		}
		if st, err := t.Schedstat(); err == nil {
			ran += time.Duration(st.RunningNanoseconds)
		}
	}
	return ran
}

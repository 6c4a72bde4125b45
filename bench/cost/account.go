package cost

import (
	"time"

	"github.com/prometheus/procfs"
)

// account adds up what a changing set of processes uses, and keeps what those had
// used that are no longer there.
//
// A process that ends hands its times and its written bytes to its parent, if the
// parent waits for it; otherwise they are gone. Which of the two happened cannot
// be read anywhere, but it shows: the times of waited-for children of the nearest
// surviving ancestor have grown by at least what those that vanished had used, or
// not. What they have not grown is kept here, as last seen.
type account struct {
	last map[procID]process
	kept cpu
	// keptWritten and keptSwitches are of processes and threads that ended.
	keptWritten, keptSwitches int64
}

// totals are what the processes of an account have used.
type totals struct {
	cpu                                      cpu
	written, rss, switches, files, processes int64
}

// update takes the processes that are there now.
func (a *account) update(now []process) totals {
	present := make(map[procID]process, len(now))
	for _, p := range now {
		present[p.id] = p
	}
	a.keepVanished(present)
	t := totals{cpu: a.kept, written: a.keptWritten, processes: int64(len(present))}
	for id, p := range present {
		t.cpu = t.cpu.plus(p.own).plus(p.waited)
		t.written += p.written
		t.rss += p.rss
		t.files += p.files
		for thread, n := range a.last[id].threads {
			if _, ok := p.threads[thread]; !ok {
				a.keptSwitches += n
			}
		}
		for _, n := range p.threads {
			t.switches += n
		}
	}
	t.switches += a.keptSwitches
	a.last = present
	return t
}

// keepVanished decides what becomes of the use of processes that were there the
// last time and are not now.
func (a *account) keepVanished(present map[procID]process) {
	type lot struct {
		cpu     cpu
		written int64
	}
	lots := make(map[procID]lot) // by the nearest ancestor that is still there
	for id, p := range a.last {
		if _, ok := present[id]; ok {
			continue
		}
		for _, n := range p.threads {
			a.keptSwitches += n
		}
		heir := a.heir(p, present)
		l := lots[heir]
		l.cpu = l.cpu.plus(p.own).plus(p.waited)
		l.written += p.written
		lots[heir] = l
	}
	for heir, l := range lots {
		inherited := present[heir].waited.total() - a.last[heir].waited.total()
		missing := l.cpu.total() - inherited
		if heir != (procID{}) && missing <= 2*tick {
			continue // user and system time of the heir are each rounded down
		}
		user := time.Duration(float64(missing) * (float64(l.cpu.user) / float64(max(1, l.cpu.total()))))
		a.kept = a.kept.plus(cpu{user, missing - user})
		// Written bytes of an heir cannot be told from those of its children, but
		// they are handed over together with the times.
		a.keptWritten += l.written
	}
}

// heir returns the nearest ancestor of p that is still there, or nobody.
func (a *account) heir(p process, present map[procID]process) procID {
	for range len(a.last) + 1 { // parents may go round when PIDs are given again
		found := false
		for id, q := range a.last {
			if id.pid != p.parent {
				continue
			}
			if _, ok := present[id]; ok {
				return id
			}
			p, found = q, true
			break
		}
		if !found {
			break
		}
	}
	return procID{}
}

// read reads the processes with these PIDs, leaving out those that have ended.
func read(proc procfs.FS, pids []int) ([]process, error) {
	list := make([]process, 0, len(pids))
	for _, pid := range pids {
		p, err := readStat(proc, pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		readUse(proc, &p)
		list = append(list, p)
	}
	return list, nil
}

// sample makes a Sample of t.
func (t totals) sample() Sample {
	return Sample{
		At:   time.Now(),
		User: t.cpu.user, System: t.cpu.system,
		RSSBytes:     t.rss,
		WrittenBytes: t.written, WrittenBy: "processes",
		ContextSwitches: t.switches,
		OpenFiles:       t.files,
		Processes:       t.processes,
	}
}

package cost

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Sample implements Meter.
func (g *Group) Sample() (Sample, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	pids, err := g.members()
	if err != nil {
		return Sample{}, err
	}
	processes, err := read(g.proc, pids)
	if err != nil {
		return Sample{}, fmt.Errorf("control group %s: %w", g.folders.main(), err)
	}
	s := g.mu.account.update(processes).sample()
	if g.folders.two != "" {
		err = readTwo(g.folders.two, &s)
	} else {
		err = readOne(g.folders.one, &s)
	}
	if err != nil {
		return Sample{}, fmt.Errorf("control group: %w", err)
	}
	g.mu.peak = max(g.mu.peak, s.RSSBytes)
	s.RSSPeakBytes = g.mu.peak
	return s, nil
}

// readOne reads the controllers of version 1 into s. Without the memory
// controller it leaves what is there.
func readOne(dirs map[string]string, s *Sample) error {
	data, err := os.ReadFile(filepath.Join(dirs["cpuacct"], "cpuacct.usage"))
	if err != nil {
		return err
	}
	nanos, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	if err != nil {
		return fmt.Errorf("cpuacct.usage: %w", err)
	}
	stat, err := readKeys(filepath.Join(dirs["cpuacct"], "cpuacct.stat"))
	if err != nil {
		return err
	}
	// The total is exact. The two parts are counted by samples: they only say how
	// the total is divided.
	s.User, s.System = divide(time.Duration(nanos), stat["user"], stat["system"])

	if dirs["memory"] == "" {
		return nil
	}
	memory, err := readKeys(filepath.Join(dirs["memory"], "memory.stat"))
	if err != nil {
		return err
	}
	// Those with "total_" include groups below this one.
	if _, ok := memory["total_rss"]; ok {
		s.RSSBytes = memory["total_rss"] + memory["total_shmem"]
	} else {
		s.RSSBytes = memory["rss"] + memory["shmem"]
	}
	return nil
}

// divide splits total as user to system.
func divide(total time.Duration, user, system int64) (u, s time.Duration) {
	if user+system == 0 {
		return total, 0
	}
	u = time.Duration(float64(total) * (float64(user) / float64(user+system)))
	return u, total - u
}

// readTwo reads version 2 into s. Only cpu.stat is always there; without the
// memory and io controllers s keeps what it has.
func readTwo(dir string, s *Sample) error {
	stat, err := readKeys(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return err
	}
	s.User = time.Duration(stat["user_usec"]) * time.Microsecond
	s.System = time.Duration(stat["system_usec"]) * time.Microsecond
	memory, err := readKeys(filepath.Join(dir, "memory.stat"))
	switch {
	case err == nil:
		s.RSSBytes = memory["anon"] + memory["shmem"]
	case !os.IsNotExist(err):
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, "io.stat"))
	switch {
	case err == nil:
		if s.WrittenBytes, err = parseIO(data); err != nil {
			return err
		}
		s.WrittenBy = "cgroup"
	case !os.IsNotExist(err):
		return err
	}
	return nil
}

// readKeys reads a file of lines with a word and a number.
func readKeys(name string) (map[string]int64, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	values := make(map[string]int64)
	for line := range strings.Lines(string(data)) {
		key, number, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", filepath.Base(name), key, err)
		}
		values[key] = n
	}
	return values, nil
}

// parseIO sums up wbytes of io.stat: a line for each device, of key=value.
func parseIO(data []byte) (written int64, err error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		for word := range strings.FieldsSeq(lines.Text()) {
			if number, ok := strings.CutPrefix(word, "wbytes="); ok {
				n, err := strconv.ParseInt(number, 10, 64)
				if err != nil {
					return 0, fmt.Errorf("io.stat: %w", err)
				}
				written += n
			}
		}
	}
	return written, lines.Err()
}

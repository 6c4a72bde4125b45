package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpuList reads "0", "2-5,8" into a set.
func cpuList(text string) (set unix.CPUSet, err error) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first || last >= 1024 {
			return set, fmt.Errorf("%q is no list of processors such as 0 or 2-5,8", text)
		}
		for n := first; n <= last; n++ {
			set.Set(n)
		}
	}
	return set, nil
}

// pinSelf keeps every thread of this process, and those to come, on some
// processors.
func pinSelf(text string) error {
	set, err := cpuList(text)
	if err != nil {
		return err
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return failure{err}
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		// A thread may have ended since the folder was read.
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return failure{fmt.Errorf("--pin-harness %s: %w", text, err)}
		}
	}
	runtime.GOMAXPROCS(set.Count())
	return nil
}

package target

import (
	"fmt"
	"os/exec"
	"time"
)

// slowSyncs returns the command line that runs argv with each sync taking so much
// longer. The server stays our child, strace is a grandchild of it (-D), and only
// the calls that are slowed stop for it (--seccomp-bpf).
func slowSyncs(argv []string, by time.Duration) ([]string, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, fmt.Errorf("%w: slow syncs need strace (Debian package strace)", ErrNotInstalled)
	}
	const calls = "fsync,fdatasync"
	return append([]string{
		strace, "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null",
		"-e", "trace=" + calls, "-e", fmt.Sprintf("inject=%s:delay_exit=%d", calls, by.Microseconds()), "--",
	}, argv...), nil
}

package target

import (
	"fmt"
	"os/exec"
)

// pinned returns the command line that runs argv on some processors only.
func pinned(argv []string, cpus string) ([]string, error) {
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return nil, fmt.Errorf("%w: pinning needs taskset (Debian package util-linux)", ErrNotInstalled)
	}
	return append([]string{taskset, "-c", cpus}, argv...), nil
}

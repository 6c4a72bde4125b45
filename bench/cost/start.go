package cost

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// startTwo lets the kernel make the process in the group (clone3, Linux 5.7).
func (g *Group) startTwo(cmd *exec.Cmd) error {
	dir, err := os.Open(g.folders.two)
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	defer dir.Close()
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
	cmd.SysProcAttr = &attr
	return cmd.Start()
}

// startOne moves this thread into the group, for a new process is where the
// thread is that makes it, and moves it back.
func (g *Group) startOne(cmd *exec.Cmd) (err error) {
	runtime.LockOSThread()
	tid := strconv.Itoa(syscall.Gettid())
	var moved []string // folders to go back to
	defer func() {
		for _, home := range moved {
			err = errors.Join(err, writeFile(filepath.Join(home, "tasks"), tid))
		}
		if err == nil {
			runtime.UnlockOSThread()
		}
		// With an error the thread may still be in the group: it stays locked and ends
		// with its goroutine, so that nothing else runs there.
	}()
	homes := g.homes()
	for _, dir := range g.folders.all() {
		if err := writeFile(filepath.Join(dir, "tasks"), tid); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
		moved = append(moved, homes[dir])
	}
	return cmd.Start()
}

// homes returns, for each folder of the group, that of this process in the same
// hierarchy.
func (g *Group) homes() map[string]string {
	homes := make(map[string]string)
	for c, dir := range g.folders.one {
		homes[dir] = g.own.own[g.own.one[c]]
	}
	return homes
}

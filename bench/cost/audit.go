package cost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

const (
	syncCalls  = "fsync,fdatasync,sync,syncfs,msync"
	orderCalls = syncCalls + ",read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg"

	attachTime  = 10 * time.Second // for strace to take hold of all threads
	attachTries = 5
)

// ErrNoStrace is why there is no audit where the program is missing.
var ErrNoStrace = errors.New("syncs are counted by strace, which is not installed (package strace)")

// AuditSyncs attaches strace to the processes that pids returns and to all that
// they start, lets run do its work, and counts the successful syncs that they made
// meanwhile: fsync, fdatasync, sync, syncfs and msync(MS_SYNC). It returns the
// number of messages that run returned beside.
//
// strace slows the server down at each of these calls, so the run should be short
// and is no measurement of anything else. Not seen are writes to files that were
// opened with O_SYNC or O_DSYNC, and syncs by io_uring.
func AuditSyncs(ctx context.Context, pids func() ([]int, error), run func(context.Context) (messages int64, err error)) (syncs, messages int64, err error) {
	err = trace(ctx, pids, syncCalls, func(ctx context.Context) error {
		var err error
		messages, err = run(ctx)
		return err
	}, func(e event) {
		if isSync(e) {
			syncs++
		}
	})
	if err != nil {
		return 0, 0, fmt.Errorf("audit of syncs: %w", err)
	}
	return syncs, messages, nil
}

// trace runs work with strace attached, and then gives what it logged to yield.
func trace(ctx context.Context, pids func() ([]int, error), calls string, work func(context.Context) error, yield func(event)) error {
	program, err := exec.LookPath("strace")
	if err != nil {
		return ErrNoStrace
	}
	dir, err := os.MkdirTemp("", "trace-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a log that is left in a folder for temporary files harms nobody
	log := filepath.Join(dir, "log")
	s, err := attach(ctx, program, log, calls, pids)
	if err != nil {
		return err
	}
	err = work(ctx)
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	defer f.Close()
	return readTrace(f, yield)
}

// strace is a running strace.
type strace struct {
	cmd  *exec.Cmd
	said bytes.Buffer // on stderr; read after done
	done chan struct{}
	err  error // of Wait; read after done
}

// attach starts strace and returns when it holds every thread. Processes that are
// started while it attaches may escape it: then it is tried again.
func attach(ctx context.Context, program, log, calls string, pids func() ([]int, error)) (*strace, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, err
	}
	for range attachTries {
		var list []int
		if list, err = pids(); err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, errors.New("strace: the server has no process")
		}
		var s *strace
		if s, err = startStrace(program, log, calls, list); err != nil {
			return nil, err
		}
		if err = s.await(ctx, proc, pids); err == nil {
			return s, nil
		}
		if stopped := s.stop(); stopped != nil {
			return nil, errors.Join(err, stopped)
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, err
}

func startStrace(program, log, calls string, pids []int) (*strace, error) {
	args := []string{"-f", "-y", "-s", "256", "-e", "trace=" + calls, "-e", "signal=none", "-o", log}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	s := &strace{cmd: exec.Command(program, args...), done: make(chan struct{})}
	s.cmd.Stderr = &s.said
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends when strace does; stop waits for it
		defer close(s.done)
		s.err = s.cmd.Wait()
	}()
	return s, nil
}

// await returns when all threads of the processes are held.
func (s *strace) await(ctx context.Context, proc procfs.FS, pids func() ([]int, error)) error {
	ctx, cancel := context.WithTimeout(ctx, attachTime/attachTries)
	defer cancel()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		list, err := pids()
		if err != nil {
			return err
		}
		free, err := untraced(proc, list, s.cmd.Process.Pid)
		if err != nil {
			return fmt.Errorf("strace: %w", err)
		}
		if free == 0 {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("strace: %w: %s", s.err, lastLine(s.said.String()))
		case <-ctx.Done():
			return fmt.Errorf("strace does not hold %d threads of the server: %w", free, ctx.Err())
		case <-pause.C:
		}
	}
}

// untraced counts the threads that have another tracer, or none.
func untraced(proc procfs.FS, pids []int, tracer int) (int, error) {
	free := 0
	for _, pid := range pids {
		threads, err := proc.AllThreads(pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, t := range threads {
			by, alive, err := tracerOf(pid, t.PID)
			if err != nil {
				return 0, err
			}
			if alive && by != tracer {
				free++
			}
		}
	}
	return free, nil
}

// tracerOf reads who traces a thread, and whether it still runs.
func tracerOf(pid, tid int) (tracer int, alive bool, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if gone(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	alive = true
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch key {
		case "State":
			if strings.HasPrefix(value, "Z") || strings.HasPrefix(value, "X") {
				alive = false
			}
		case "TracerPid":
			if tracer, err = strconv.Atoi(value); err != nil {
				return 0, false, err
			}
		}
	}
	return tracer, alive, nil
}

// stop lets the server go and waits for strace to end. Its status tells nothing
// then: it ends by the signal that it is sent.
func (s *strace) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("strace: %w", err)
	}
	limit := time.NewTimer(attachTime)
	defer limit.Stop()
	select {
	case <-s.done:
		return nil
	case <-limit.C:
	}
	// The kernel lets traced processes go on when their tracer is gone.
	err := s.cmd.Process.Kill()
	<-s.done
	return errors.Join(errors.New("strace does not end when it is interrupted"), err)
}

// lastLine returns the last line of text.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

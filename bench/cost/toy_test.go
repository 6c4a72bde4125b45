package cost

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The test binary is also the server that the tests measure and kill.
func TestMain(m *testing.M) {
	if mode := os.Getenv("COST_TEST_SERVER"); mode != "" {
		// Where only ancestors may trace, allow everybody.
		_ = unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0)
		if err := serveToy(mode, os.Getenv("COST_TEST_FILE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// toy is a mail server that stores a byte for each message, in one of the ways
// that make a durability class.
type toy struct {
	mode string // memory, cache, late, each, group
	file *os.File

	mu struct {
		sync.Mutex
		// guards following
		wake    sync.Cond // of commits
		stored  int64
		open    int // connections
		waiting int // for the commit
		commits int
	}
}

// serveToy listens, writes its address to stdout, and serves until it is killed or
// stdin ends.
func serveToy(mode, name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s := &toy{mode: mode, file: f}
	s.mu.stored = info.Size()
	s.mu.wake.L = &s.mu.Mutex
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.session(conn)
		}
	}()
	fmt.Println(l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (s *toy) session(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	s.opened(1)
	defer s.opened(-1)
	fmt.Fprint(conn, "220 toy\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch strings.TrimSpace(line) {
		case "DATA":
			fmt.Fprint(conn, "354 go ahead\r\n")
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			if err := s.store(); err != nil {
				return
			}
			fmt.Fprint(conn, "250 stored\r\n")
			if s.mode == "late" {
				s.sync()
			}
		case "COUNT":
			s.mu.Lock()
			fmt.Fprintf(conn, "250 %d\r\n", s.mu.stored)
			s.mu.Unlock()
		default:
			fmt.Fprint(conn, "250 ok\r\n")
		}
	}
}

func (s *toy) opened(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.open += n
	s.commitLocked()
}

// store stores a message in the way of the mode.
func (s *toy) store() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != "memory" {
		if _, err := s.file.Write([]byte{'m'}); err != nil {
			return err
		}
	}
	s.mu.stored++
	switch s.mode {
	case "each":
		return s.file.Sync()
	case "group":
		s.mu.waiting++
		for commit := s.mu.commits; ; s.mu.wake.Wait() {
			s.commitLocked()
			if s.mu.commits != commit {
				break
			}
		}
	}
	return nil
}

// sync syncs too late.
func (s *toy) sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.file.Sync(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// commitLocked syncs once for all that wait, when there are enough of them.
func (s *toy) commitLocked() {
	const share = 4
	if s.mu.waiting == 0 || s.mu.waiting < min(s.mu.open, share) {
		return
	}
	if s.file.Sync() != nil {
		return
	}
	s.mu.waiting = 0
	s.mu.commits++
	s.mu.wake.Broadcast()
}

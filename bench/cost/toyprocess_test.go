package cost

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// toyProcess is a toy that runs.
type toyProcess struct {
	mode, file string
	cmd        *exec.Cmd
	stdin      io.Closer
	addr       string
}

func startToy(t *testing.T, mode string) *toyProcess {
	t.Helper()
	p := &toyProcess{mode: mode, file: filepath.Join(t.TempDir(), "mail")}
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.kill(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *toyProcess) start(context.Context) error {
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), "COST_TEST_SERVER="+p.mode, "COST_TEST_FILE="+p.file)
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.addr, err = bufio.NewReader(stdout).ReadString('\n')
	p.addr = strings.TrimSpace(p.addr)
	return err
}

func (p *toyProcess) kill(context.Context) error {
	p.stdin.Close()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var status *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &status) {
		return err
	}
	return nil
}

func (p *toyProcess) pids() ([]int, error) { return []int{p.cmd.Process.Pid}, nil }

// send sends n messages over conns connections.
func (p *toyProcess) send(ctx context.Context, n, conns int) (int64, error) {
	var group sync.WaitGroup
	counts := make([]int64, conns)
	errs := make([]error, conns)
	for i := range conns {
		group.Go(func() { counts[i], errs[i] = p.sendOver(n / conns) })
	}
	group.Wait()
	var total int64
	for _, c := range counts {
		total += c
	}
	return total, errors.Join(errs...)
}

func (p *toyProcess) sendOver(n int) (accepted int64, err error) {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('\n'); err != nil {
		return 0, err
	}
	for range n {
		for _, text := range []string{"MAIL FROM:<>\r\n", "RCPT TO:<r@x.test>\r\n", "DATA\r\n", "Subject: x\r\n\r\ny\r\n.\r\n"} {
			if _, err := io.WriteString(conn, text); err != nil {
				return accepted, err
			}
			reply, err := r.ReadString('\n')
			if err != nil {
				return accepted, err
			}
			if text[len(text)-3] == '.' && strings.HasPrefix(reply, "2") {
				accepted++
			}
		}
	}
	return accepted, nil
}

// remaining asks how many messages are stored.
func (p *toyProcess) remaining(context.Context) (int64, error) {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "COUNT\r\n"); err != nil {
		return 0, err
	}
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('\n'); err != nil {
		return 0, err
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	var n int64
	_, err = fmt.Fscanf(bytes.NewReader([]byte(line)), "250 %d", &n)
	return n, err
}

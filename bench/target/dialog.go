package target

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
)

// dialog asks a child of ours questions, a line each, on its standard input and
// reads a line for an answer.
type dialog struct {
	mu  sync.Mutex // guards following: one question at a time
	in  io.WriteCloser
	out *bufio.Reader
	raw io.Closer
}

func newDialog(cmd *exec.Cmd) (*dialog, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &dialog{in: in, out: bufio.NewReader(out), raw: out}, nil
}

// ask returns the answer to a question.
func (d *dialog) ask(question string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := fmt.Fprintln(d.in, question); err != nil {
		return "", err
	}
	answer, err := d.out.ReadString('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(answer), nil
}

// close lets go of the pipes. Errors would only say that they are closed already.
func (d *dialog) close() {
	_ = d.in.Close()
	_ = d.raw.Close()
}

// ask asks the server's process.
func (r *running) ask(question string) (string, error) {
	p := r.process()
	if p == nil || p.dialog == nil {
		return "", errNotRunning
	}
	return p.dialog.ask(question)
}

//go:build interop

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal runs a program in a terminal of its own, by tmux.
type terminal struct {
	t      *testing.T
	socket string
	env    []string
}

func newTerminal(t *testing.T, dir string, argv ...string) *terminal {
	t.Helper()
	term := &terminal{t: t, socket: filepath.Join(dir, "tmux"), env: append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "TERM=xterm")}
	term.tmux(append([]string{"new-session", "-d", "-x", "120", "-y", "40", "--"}, argv...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the terminal:\n%s", term.screen())
		}
		cmd := exec.Command("tmux", "-S", term.socket, "kill-server")
		_ = cmd.Run() // it has ended when the program has
	})
	return term
}

func (term *terminal) tmux(argv ...string) string {
	term.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", term.socket, "-f", "/dev/null"}, argv...)...)
	cmd.Env = term.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v\n%s", argv, err, out)
	}
	return string(out)
}

func (term *terminal) screen() string {
	cmd := exec.Command("tmux", "-S", term.socket, "capture-pane", "-p")
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// shows waits until the text is on the screen.
func (term *terminal) shows(text string) {
	term.t.Helper()
	if !await(20*time.Second, func() bool { return strings.Contains(term.screen(), text) }) {
		term.t.Fatalf("the terminal does not show %q", text)
	}
}

// keys presses keys: names as tmux has them, or text.
func (term *terminal) keys(keys ...string) {
	term.t.Helper()
	term.tmux(append([]string{"send-keys"}, keys...)...)
}

// ends waits for the end of the program.
func (term *terminal) ends() {
	term.t.Helper()
	if !await(20*time.Second, func() bool { return exec.Command("tmux", "-S", term.socket, "has-session").Run() != nil }) {
		term.t.Fatal("the program does not end")
	}
}

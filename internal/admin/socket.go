package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxSocketPath is what fits into the kernel's sun_path with its final zero.
const maxSocketPath = 107

// listenSocket makes the socket with mode 0600. A socket that nobody answers on
// is what a crash left and is replaced; one that answers belongs to a daemon
// that runs.
func listenSocket(path string) (net.Listener, error) {
	if len(path) > maxSocketPath { // the kernel says "invalid argument"
		return nil, fmt.Errorf("%s: a socket's path has at most %d bytes, this one has %d: take a folder with a shorter name", path, maxSocketPath, len(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s exists and is not a socket", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			return nil, errors.Join(fmt.Errorf("%s is in use by another process", path), c.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		// On Linux the file that bind makes takes the mode of the descriptor, so
		// there is no moment at which others could connect.
		err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	return lc.Listen(context.Background(), "unix", path)
}

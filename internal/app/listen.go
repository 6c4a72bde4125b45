package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"postrider/internal/config"
)

// inherited are the sockets that a service manager opened for us, by the
// address they are bound to: those of sd_listen_fds(3). A restart of the daemon
// then refuses no connection, and no privilege is needed for port 25.
type inherited map[string]net.Listener

// takeInherited collects them; there are none without a service manager.
func takeInherited() (inherited, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("sockets of the service manager: %w", err)
	}
	found := make(inherited)
	for _, l := range listeners {
		if l != nil { // a descriptor that is no stream socket
			found[socketKey(l.Addr().Network(), l.Addr().String())] = l
		}
	}
	return found, nil
}

// socketKey names a socket by its address: "[::]:25" and "0.0.0.0:25" are both
// how a manager binds ":25".
func socketKey(network, address string) string {
	if strings.HasPrefix(network, "tcp") {
		host, port, err := net.SplitHostPort(address)
		if err == nil {
			if host == "::" || host == "0.0.0.0" {
				host = ""
			}
			return net.JoinHostPort(host, port)
		}
	}
	return address
}

// open returns the listener's socket: the inherited one when there is one for
// its address, which the service manager goes on to hold (shared), else a new one.
func (in inherited) open(c config.Listener) (l net.Listener, shared bool, err error) {
	key := socketKey(c.Network, c.Host)
	if l, ok := in[key]; ok {
		delete(in, key)
		return l, true, nil
	}
	if c.Network == "unix" {
		if err := removeStaleSocket(c.Host); err != nil {
			return nil, false, err
		}
	}
	if l, err = net.Listen(c.Network, c.Host); err != nil {
		return nil, false, fmt.Errorf("listener %s: %w", c.Address, err)
	}
	return l, false, nil
}

// closeRest closes inherited sockets that the configuration does not name, so
// that nobody connects to a socket that no one serves.
func (in inherited) closeRest() (names []string) {
	for name, l := range in {
		names = append(names, name)
		_ = l.Close() // it was never used; there is nothing to lose
	}
	return names
}

// removeStaleSocket removes a socket that an earlier run left behind, and
// nothing else: a live server's socket or another file is an error.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("socket %s: %w", path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("socket %s: a file that is no socket is in the way", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return fmt.Errorf("socket %s: another process listens on it", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("socket %s: %w", path, err)
	}
	return nil
}

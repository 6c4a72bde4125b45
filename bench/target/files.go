package target

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// logName is the log of a server in its scratch folder.
const logName = "mail.log"

// file is a piece of generated configuration.
type file struct{ name, text string }

// join returns all files as one text, for a result.
func join(files []file) string {
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "# %s\n%s", f.name, f.text)
	}
	return b.String()
}

// write writes files below dir.
func write(dir string, files []file) error {
	for _, f := range files {
		name := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// loopback returns n free addresses on 127.0.0.1. Their ports are below those that
// the system gives to outgoing connections, so that none of these takes one while
// a server is down.
func loopback(n int) ([]string, error) {
	const low, high, tries = 20_000, 32_000, 1000
	var list []string
	for range tries {
		if len(list) == n {
			return list, nil
		}
		address := fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low))
		l, err := net.Listen("tcp", address)
		if err != nil || slices.Contains(list, address) {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		list = append(list, address)
	}
	return nil, errors.New("no free ports between 20000 and 32000")
}

// port returns that of an address made by loopback.
func port(address string) string {
	_, p, _ := net.SplitHostPort(address) // it cannot fail for these
	return p
}

// environment returns ours with where Debian keeps daemons, which a user's PATH
// may lack, and more.
func environment(more []string) []string {
	return append(append(os.Environ(), "PATH="+searchPath()), more...)
}

func searchPath() string { return os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin" }

// find returns the path of a program of a Debian package.
func find(program, debianPackage string) (string, error) {
	for _, dir := range filepath.SplitList(searchPath()) {
		name := filepath.Join(dir, program)
		if info, err := os.Stat(name); err == nil && !info.IsDir() && info.Mode().Perm()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s: %w (Debian package %s; as root, bench/peers installs all of them)", program, ErrNotInstalled, debianPackage)
}

// hash returns the SHA-256 of a file in hexadecimal.
func hash(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// output runs a program and returns what it printed; an error has it as well.
func output(ctx context.Context, argv ...string) (string, error) {
	name := argv[0]
	if !strings.Contains(name, "/") {
		found, err := find(name, argv[0])
		if err != nil {
			return "", err
		}
		name = found
	}
	cmd := exec.CommandContext(ctx, name, argv[1:]...)
	cmd.Env = environment(nil)
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		// What stands before "--" is how it is started, not what.
		argv = argv[slices.Index(argv, "--")+1:]
		return text, fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, text)
	}
	return text, nil
}

// needRoot says that a server changes users, and so must be started by root.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("it must be started by root")
	}
	return nil
}

// passable makes dir a folder that other users may enter, and says which of the
// folders above it bars them.
func passable(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		info, err := os.Stat(up)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the server's user cannot enter %s (mode %v): choose another scratch folder", up, info.Mode().Perm())
		}
		if up == filepath.Dir(up) {
			return nil
		}
	}
}

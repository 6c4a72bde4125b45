package target

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// postfix runs Debian's Postfix with a configuration and a queue of its own; what
// /etc/postfix says is not used.
type postfix struct{ isp bool }

// postfixPackage is what has to be installed.
const postfixPackage = "postfix"

func (t postfix) plan(ctx context.Context, _ Options, n Need) (*plan, error) {
	if n.Mailboxes > 0 || n.Auth {
		return nil, fmt.Errorf("mailboxes and AUTH: %w", ErrUnsupported)
	}
	if err := needRoot(); err != nil {
		return nil, err
	}
	program, err := find("postfix", postfixPackage)
	if err != nil {
		return nil, err
	}
	addresses, err := loopback(1)
	if err != nil {
		return nil, err
	}
	s := postfixSettings{listen: addresses[0], dir: n.Dir, need: n, isp: t.isp}
	if s.daemons, err = output(ctx, "postconf", "-dh", "daemon_directory"); err != nil {
		return nil, err
	}
	p := &plan{smtp: addresses[0], data: filepath.Join(n.Dir, "queue")}
	if p.info.Version, err = output(ctx, "postconf", "-dh", "mail_version"); err != nil {
		return nil, err
	}
	master := filepath.Join(s.daemons, "master")
	if p.info.Binary, err = hash(master); err != nil {
		return nil, err
	}
	if err := s.prepare(n.Suspended); err != nil {
		return nil, err
	}
	p.info.Config = join(s.files(n.Suspended))
	etc := s.etc()
	// It makes the folders of the queue, with the owners that they need.
	if _, err := output(ctx, program, "-c", etc, "check"); err != nil {
		return nil, err
	}
	p.argv = []string{master, "-c", etc, "-s"}
	if n.DNS != "" {
		if p.argv, err = withResolver(n.Dir, n.DNS, p.argv); err != nil {
			return nil, err
		}
	}
	p.queued = func(ctx context.Context, _ *running) (int64, error) { return postfixQueued(ctx, etc) }
	p.reload = func(ctx context.Context, _ *running) error {
		_, err := output(ctx, program, "-c", etc, "reload")
		return err
	}
	p.resume = func(ctx context.Context, _ *running) error {
		if err := write(n.Dir, s.files(false)); err != nil {
			return err
		}
		for _, argv := range [][]string{
			{program, "-c", etc, "reload"},
			{"postsuper", "-c", etc, "-H", "ALL"}, // from hold to deferred,
			{"postqueue", "-c", etc, "-f"},        // and from there at once
		} {
			if _, err := output(ctx, argv...); err != nil {
				return err
			}
		}
		return nil
	}
	return p, nil
}

// postfixQueued counts the recipients of everything in the queue.
func postfixQueued(ctx context.Context, etc string) (n int64, err error) {
	program, err := find("postqueue", postfixPackage)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, program, "-c", etc, "-j")
	cmd.Env = environment(nil)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	n, err = countPostfix(bufio.NewReader(out))
	if failed := cmd.Wait(); failed != nil {
		return 0, fmt.Errorf("postqueue: %w: %s", failed, said.String())
	}
	return n, err
}

// countPostfix counts the recipients in the output of postqueue -j: a JSON object
// for each message.
func countPostfix(r *bufio.Reader) (n int64, err error) {
	decoder := json.NewDecoder(r)
	for decoder.More() {
		var message struct {
			Recipients []json.RawMessage `json:"recipients"`
		}
		if err := decoder.Decode(&message); err != nil {
			return 0, fmt.Errorf("postqueue -j: %w", err)
		}
		n += int64(len(message.Recipients))
	}
	return n, nil
}

// prepare writes the configuration and makes the folders that Postfix does not
// make itself.
func (s postfixSettings) prepare(suspended bool) error {
	if err := passable(s.dir); err != nil {
		return err
	}
	files := s.files(suspended)
	if s.certificate() {
		pem, err := selfSigned("mta.bench.test")
		if err != nil {
			return err
		}
		// Postfix reads it before it gives up its rights.
		if err := os.WriteFile(filepath.Join(s.dir, certificateName), pem, 0o600); err != nil {
			return err
		}
	}
	if err := write(s.dir, files); err != nil {
		return err
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	for _, name := range []string{"queue", "data"} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o755); err != nil {
			return err
		}
	}
	return os.Chown(filepath.Join(s.dir, "data"), uid, -1)
}

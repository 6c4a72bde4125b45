package target

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// gosmtp is Reference in a process of its own, so that what it uses can be told
// from what the harness uses.
type gosmtp struct{}

func (gosmtp) plan(_ context.Context, o Options, n Need) (*plan, error) {
	if n.NextHop == "" || n.HopLMTP || n.Mailboxes > 0 || n.TLS {
		return nil, fmt.Errorf("routing by DNS, LMTP, mailboxes and TLS: %w", ErrUnsupported)
	}
	argv := o.Reference
	if argv == nil {
		own, err := os.Executable()
		if err != nil {
			return nil, err
		}
		argv = []string{own, "reference"}
	}
	addresses, err := loopback(1)
	if err != nil {
		return nil, err
	}
	arguments := []string{
		"--listen", addresses[0], "--next-hop", n.NextHop,
		"--max-message", strconv.FormatInt(n.MaxMessage, 10),
	}
	if n.Suspended {
		arguments = append(arguments, "--suspended")
	}
	if n.Auth {
		arguments = append(arguments, "--password", n.Password)
	}
	if n.RetryFirst > 0 {
		arguments = append(arguments, "--retry", n.RetryFirst.String())
	}
	p := &plan{smtp: addresses[0], control: true}
	p.argv = append(append(p.argv, argv...), arguments...)
	p.info.Config = "reference " + strings.Join(arguments, " ") + "\n"
	p.info.Version = moduleVersion("github.com/emersion/go-smtp")
	if p.info.Binary, err = hash(argv[0]); err != nil {
		return nil, err
	}
	p.queued = func(_ context.Context, r *running) (int64, error) {
		answer, err := r.ask("queued")
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(answer, 10, 64)
	}
	p.reload = func(context.Context, *running) error { return ErrUnsupported }
	p.resume = func(_ context.Context, r *running) error {
		_, err := r.ask("resume")
		return err
	}
	return p, nil
}

// moduleVersion is that of a module in this program; "" when it does not say.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return ""
}

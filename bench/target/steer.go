package target

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// PIDs implements Instance.
func (r *running) PIDs() []int {
	pids, err := r.box.pids()
	if err != nil {
		return nil // the group is gone, and everything that was in it
	}
	return pids
}

// Queued implements Instance.
func (r *running) Queued(ctx context.Context) (int64, error) {
	if r.plan.queued == nil {
		return 0, fmt.Errorf("%s: ask for the queue: %w", r.plan.info.Name, ErrUnsupported)
	}
	n, err := r.plan.queued(ctx, r)
	if err != nil {
		return 0, fmt.Errorf("%s: ask for the queue: %w", r.plan.info.Name, err)
	}
	return n, nil
}

// Kill implements Instance.
func (r *running) Kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, killPatience)
	defer cancel()
	if err := r.box.kill(ctx); err != nil {
		return fmt.Errorf("%s: kill: %w", r.plan.info.Name, err)
	}
	r.mu.Lock()
	p := r.mu.main
	r.mu.main = nil
	r.mu.Unlock()
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return fmt.Errorf("%s: kill: %w", r.plan.info.Name, ctx.Err())
	}
	if p.dialog != nil {
		p.dialog.close()
	}
	return nil
}

// Restart implements Instance.
func (r *running) Restart(ctx context.Context) error {
	if err := r.end(ctx); err != nil {
		return err
	}
	if err := r.launch(ctx); err != nil {
		return fmt.Errorf("%s: restart: %w", r.plan.info.Name, err)
	}
	return nil
}

// Reload implements Instance.
func (r *running) Reload(ctx context.Context) error {
	reload := r.plan.reload
	if reload == nil {
		reload = func(_ context.Context, r *running) error { return r.signal(syscall.SIGHUP) }
	}
	if err := reload(ctx, r); err != nil {
		return fmt.Errorf("%s: reload: %w", r.plan.info.Name, err)
	}
	return nil
}

// Resume implements Instance.
func (r *running) Resume(ctx context.Context) error {
	if r.plan.resume == nil {
		return fmt.Errorf("%s: resume: %w", r.plan.info.Name, ErrUnsupported)
	}
	if err := r.plan.resume(ctx, r); err != nil {
		return fmt.Errorf("%s: resume: %w", r.plan.info.Name, err)
	}
	return nil
}

// Stop implements Instance. A second call has nothing to do.
func (r *running) Stop(ctx context.Context) error {
	r.mu.Lock()
	stopped := r.mu.stopped
	r.mu.Unlock()
	if stopped {
		return nil
	}
	err := r.end(ctx)
	if err == nil {
		err = r.box.close()
	}
	if err != nil {
		return fmt.Errorf("%s: stop: %w", r.plan.info.Name, err)
	}
	r.mu.Lock()
	r.mu.stopped = true
	r.mu.Unlock()
	return nil
}

// awaitGreeting returns when a connection to address is greeted. ended is closed
// when the server will not come up any more.
func awaitGreeting(ctx context.Context, address string, ended <-chan struct{}) error {
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for {
		err := greeting(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("it ended before it listened on %s", address)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer on %s: %w", address, errors.Join(err, ctx.Err()))
		case <-pause.C:
		}
	}
}

// greeting connects to address, reads the line with which every mail server
// begins, and says goodbye in words that SMTP, LMTP and POP3 have in common.
func greeting(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	switch line[0] {
	case '2', '+': // SMTP and LMTP, POP3
		_, err = c.Write([]byte("QUIT\r\n"))
	case '*':
		_, err = c.Write([]byte("a LOGOUT\r\n"))
	default:
		err = fmt.Errorf("greeting %q", line)
	}
	return err
}

package auth

import (
	"context"
	"time"
)

// conclude counts an attempt, holds the answer of a failure back, tells who
// observes, and returns the error that the client's answer is made of.
func (a *Authenticator) conclude(ctx context.Context, out *Outcome) error {
	at := out.Attempt
	var err error
	switch out.Reason {
	case OK:
		a.limits.success(at.Client, out.Name)
	case Throttled:
		err = ErrThrottled
	case Unavailable:
		err = ErrUnavailable
	case Malformed:
		err = ErrMessage
	default:
		err = ErrCredentials
		out.Delay = a.limits.failure(at.Client, out.Name, out.Cached, time.Now())
		if held := a.pause(ctx, out.Delay); !held {
			err = ErrThrottled
		}
	}
	if observe := a.o.Load().Observe; observe != nil {
		observe(out)
	}
	return err
}

// pause waits, unless too many do.
func (a *Authenticator) pause(ctx context.Context, d time.Duration) (held bool) {
	if d <= 0 {
		return true
	}
	if !a.limits.hold() {
		return false
	}
	defer a.limits.release()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return true
}

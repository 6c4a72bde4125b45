package cost

import (
	"context"
	"time"
)

const (
	idleWindow = 250 * time.Millisecond // in which a server must do nothing
	idleShare  = 0.04                   // of a core: a tick of 10 ms in a window is nothing
)

// AwaitIdle returns when a server has come to rest, and true; or false when it has
// not done so within the time. A server that was just started may still prepare
// files, and one that was stopped in the middle of its work may still tidy up:
// neither belongs to the run that follows.
//
// At rest is what neither uses a core for more than a few percent of a quarter of
// a second nor writes anything in that time.
func AwaitIdle(ctx context.Context, m Meter, within time.Duration) (bool, error) {
	limit := time.NewTimer(within)
	defer limit.Stop()
	window := time.NewTicker(idleWindow)
	defer window.Stop()
	last, err := m.Sample()
	if err != nil {
		return false, err
	}
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-limit.C:
			return false, nil
		case <-window.C:
		}
		now, err := m.Sample()
		if err != nil {
			return false, err
		}
		// Others write to a device as well, so that its bytes say nothing here.
		wrote := now.WrittenBytes > last.WrittenBytes && now.WrittenBy != "device"
		if now.CPU()-last.CPU() <= time.Duration(idleShare*float64(idleWindow)) && !wrote {
			return true, nil
		}
		last = now
	}
}

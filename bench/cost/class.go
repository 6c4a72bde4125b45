package cost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Server is a server whose durability is to be verified.
type Server struct {
	// Send offers n messages of one recipient each over conns connections, each kept
	// for all its messages, by DATA and without TLS, and with nothing sent between
	// the end of a text and its reply. It returns how many were accepted; an error
	// only when it could not be tried.
	Send func(ctx context.Context, n, conns int) (accepted int64, err error)
	// Kill ends all processes with SIGKILL and waits for it; Restart starts the
	// server again with the same data and returns when it answers.
	Kill, Restart func(ctx context.Context) error
	// Hold keeps the server from delivering until release is called, so that what it
	// has accepted is its own to lose when it is killed. nil: it delivers at once.
	Hold func() (release func())
	// Remaining returns how many distinct messages have been delivered or are in the
	// queue, of all that Send has sent so far.
	Remaining func(ctx context.Context) (int64, error)
	// PIDs returns the server's processes, for strace. nil: syncs are not looked at.
	PIDs func() ([]int, error)
	// Settle is how long a restarted server may take to find its queue; 0: 15 s. What
	// Remaining does not count by then is lost.
	Settle time.Duration
}

// Verdict is what Verify has shown.
type Verdict struct {
	// Class is D0 (accepted messages can be lost when the server is killed), D1 (they
	// survive that, and it was not shown that they are on the disk), D2 (each reply
	// comes after a sync, at least one for each message) or D3 (each reply comes after
	// a sync that messages share).
	Class string
	By    string // how it was verified, for result.Target.ClassBy
}

const (
	oneByOne    = 20  // messages over one connection: enough to see a habit
	crowdCount  = 400 // messages over crowdConns
	crowdConns  = 16
	killRounds  = 2
	killCrowd   = 100                    // messages before each kill
	settleTime  = 15 * time.Second       // see Server.Settle
	settlePause = 100 * time.Millisecond // between two questions
)

// evidence is what the tests of Verify have found.
type evidence struct {
	accepted, remaining int64 // by the kill test

	unseen   error // why there is no audit; nil: there is
	single   order // one connection
	crowd    order // many
	syncs    int64 // of the crowd, only syncs traced
	messages int64
}

// Verify finds the durability class of s. It attaches strace three times and kills
// the server twice; the server ends up running. What it shows is:
//
//   - with SIGKILL right after the last reply, that accepted messages are still
//     there: the kernel has them, if not the disk;
//   - with strace, that each reply comes after a sync which began when the text had
//     been read: first with one connection, where no other message can have caused
//     the sync, then with many;
//   - how many syncs there are for each message with many connections, with only
//     the syncs traced, for that slows less. With strace messages come slower and
//     share fewer syncs, so that the true figure is that or lower.
//
// It does not cut the power, does not look into what was synced, and does not see
// whether the disk keeps what it confirms. D4, a copy on another machine, cannot
// be seen from here.
func Verify(ctx context.Context, s Server) (Verdict, error) {
	e := evidence{}
	before, err := s.Remaining(ctx)
	if err != nil {
		return Verdict{}, fmt.Errorf("durability class: %w", err)
	}
	if err := e.audit(ctx, s); err != nil {
		return Verdict{}, fmt.Errorf("durability class: %w", err)
	}
	if err := e.kill(ctx, s, before); err != nil {
		return Verdict{}, fmt.Errorf("durability class: %w", err)
	}
	return e.verdict(), nil
}

// audit watches syncs and replies.
func (e *evidence) audit(ctx context.Context, s Server) error {
	if s.PIDs == nil {
		e.unseen = errors.New("its processes are not known")
		return nil
	}
	e.single, e.crowd = *newOrder(), *newOrder()
	for _, part := range []struct {
		messages, conns int
		order           *order
	}{{oneByOne, 1, &e.single}, {crowdCount, crowdConns, &e.crowd}} {
		err := trace(ctx, s.PIDs, orderCalls, func(ctx context.Context) error {
			return e.send(ctx, s, part.messages, part.conns)
		}, part.order.add)
		if err != nil {
			return e.givenUp(ctx, err)
		}
	}
	var err error
	e.syncs, e.messages, err = AuditSyncs(ctx, s.PIDs, func(ctx context.Context) (int64, error) {
		was := e.accepted
		err := e.send(ctx, s, crowdCount, crowdConns)
		return e.accepted - was, err
	})
	return e.givenUp(ctx, err)
}

// givenUp keeps an error of the audit as the reason for which there is none; with
// the other test something can be said all the same.
func (e *evidence) givenUp(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.unseen = err
	return nil
}

func (e *evidence) send(ctx context.Context, s Server, n, conns int) error {
	accepted, err := s.Send(ctx, n, conns)
	e.accepted += accepted
	if err == nil && accepted == 0 {
		err = errors.New("no message was accepted")
	}
	return err
}

// fell kills a server that has just accepted messages and not delivered them.
func (e *evidence) fell(ctx context.Context, s Server) error {
	if s.Hold != nil {
		defer s.Hold()()
	}
	if err := e.send(ctx, s, killCrowd, crowdConns); err != nil {
		return err
	}
	return s.Kill(ctx)
}

// kill kills and counts.
func (e *evidence) kill(ctx context.Context, s Server, before int64) error {
	for range killRounds {
		if err := e.fell(ctx, s); err != nil {
			return err
		}
		if err := s.Restart(ctx); err != nil {
			return err
		}
	}
	settle := s.Settle
	if settle == 0 {
		settle = settleTime
	}
	limit := time.NewTimer(settle)
	defer limit.Stop()
	pause := time.NewTicker(settlePause)
	defer pause.Stop()
	for {
		there, err := s.Remaining(ctx)
		if err != nil {
			return err
		}
		e.remaining = there - before
		if e.remaining >= e.accepted {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return nil
		case <-pause.C:
		}
	}
}

// verdict judges.
func (e *evidence) verdict() Verdict {
	var by strings.Builder
	if lost := e.accepted - e.remaining; lost > 0 {
		fmt.Fprintf(&by, "SIGKILL, %d times: %d of %d accepted messages were gone", killRounds, lost, e.accepted)
		return Verdict{"D0", by.String()}
	}
	fmt.Fprintf(&by, "SIGKILL, %d times: all of %d accepted messages were still there; ", killRounds, e.accepted)
	one, many := e.single, e.crowd
	switch {
	case e.unseen != nil:
		fmt.Fprintf(&by, "syncs were not looked at: %v", e.unseen)
		return Verdict{"D1", by.String()}
	case one.syncs+many.syncs+e.syncs == 0:
		fmt.Fprintf(&by, "strace: no sync in %d messages", e.messages)
		return Verdict{"D1", by.String()}
	case one.replies == 0 || many.replies == 0:
		by.WriteString("strace: there are syncs, but no reply was seen that could come after them")
		return Verdict{"D1", by.String()}
	}
	fmt.Fprintf(&by, "strace: the reply came after a sync begun after the text was read, "+
		"for %d of %d messages of one connection and %d of %d of %d connections; ",
		one.synced, one.replies, many.synced, many.replies, crowdConns)
	each := float64(e.syncs) / float64(max(1, e.messages))
	fmt.Fprintf(&by, "%.2f syncs a message", each)
	class := "D3"
	switch {
	case one.synced < one.replies || many.synced < many.replies:
		class = "D1"
	case each >= 1:
		class = "D2"
	}
	return Verdict{class, by.String()}
}

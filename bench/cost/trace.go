package cost

import (
	"context"
	"errors"
)

// Server is a server whose durability is to be verified.
type Server struct {
	// Send offers n messages over conns connections, each kept for all its messages,
	// by DATA, without TLS, and waits for the replies. It returns how many were
	// accepted; an error only when it could not be tried.
	Send func(ctx context.Context, n, conns int) (accepted int64, err error)
	// Kill ends all processes with SIGKILL and waits for it; Restart starts the
	// server again with the same data and returns when it answers.
	Kill, Restart func(ctx context.Context) error
	// Remaining returns how many distinct messages have been delivered or are in the
	// queue, of all that Send has sent so far.
	Remaining func(ctx context.Context) (int64, error)
	// PIDs returns the server's processes, for strace. nil: syncs are not looked at.
	PIDs func() ([]int, error)
}

// Verdict is what Verify has shown.
type Verdict struct {
	Class string // D0, D1, D2, D3; "" when nothing could be shown
	By    string // how, in a sentence
}

// Verify finds the durability class of s.
func Verify(ctx context.Context, s Server) (Verdict, error) {
	return Verdict{}, errors.New("not yet")
}

// AuditSyncs attaches strace to processes, lets run do its work, and counts the
// successful syncs that they made meanwhile: fsync, fdatasync, sync, syncfs and
// msync(MS_SYNC). It returns what run returned beside.
func AuditSyncs(ctx context.Context, pids func() ([]int, error), run func(context.Context) (messages int64, err error)) (syncs, messages int64, err error) {
	return 0, 0, errors.New("not yet")
}

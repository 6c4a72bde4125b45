package queue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool"
	"postrider/queue/internal/cold"
)

// restoredName is the file that tells Open that the folder is a backup: what it
// holds may have been delivered since.
const (
	restoredName    = "restored"
	restoredVersion = "1\n"
)

// Backup writes to dir, which it makes, a copy of the queue as a power cut right now
// would leave it, while everything goes on. What was accepted or settled before the
// call is in it. A folder that was copied back from there is opened like any other;
// all that waits in it is held then, under new ids for what is new, until an operator
// releases it.
//
// Files that are written once are linked, so dir should be on the same file system.
// While it is made no disk is given back.
func (q *Queue) Backup(ctx context.Context, dir string) error {
	q.keepFiles.Lock()
	defer q.keepFiles.Unlock()
	if q.dead.Load() {
		return ErrClosed
	}
	if err := q.fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("back up the queue: %w", err)
	}
	steps := [...]func() error{
		// The rows first: the log reaches further than they do, and the large files
		// that it names are there by then.
		func() error {
			return q.guard(func() error { return q.st.db.Checkpoint(q.fs.PathJoin(dir, "rows"), pebble.WithFlushedWAL()) })
		},
		func() error { return q.linkAll(ctx, q.fs.PathJoin(q.o.Dir, "cold"), q.fs.PathJoin(dir, "cold")) },
		func() error {
			_, err := q.sp.Snapshot(ctx, dir)
			return err
		},
		func() error { return q.linkAll(ctx, q.largeDir, q.fs.PathJoin(dir, "large")) },
		func() error {
			p, err := spool.ReadFile(q.fs, q.o.Dir, doubtName)
			if err != nil || p == nil {
				return err
			}
			return spool.ReplaceFile(q.fs, dir, doubtName, p)
		},
		func() error { return spool.ReplaceFile(q.fs, dir, restoredName, []byte(restoredVersion)) },
		func() error { return cold.SyncDir(q.fs, q.fs.PathDir(dir)) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("back up the queue: %w", err)
		}
	}
	return nil
}

// backedUp waits for the end of a backup that is being made.
func (q *Queue) backedUp() {
	q.keepFiles.Lock()
	defer q.keepFiles.Unlock()
}

// linkAll makes the folder to with links to all files of from. One that is gone
// before its turn belonged to a draft that was given up.
func (q *Queue) linkAll(ctx context.Context, from, to string) error {
	if err := q.fs.MkdirAll(to, 0o700); err != nil {
		return err
	}
	names, err := q.fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		err := vfs.LinkOrCopy(q.fs, q.fs.PathJoin(from, name), q.fs.PathJoin(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return cold.SyncDir(q.fs, to)
}

// openRestored looks whether the folder is a backup. Until holdRestored has held what
// waits, nothing is leased.
func (q *Queue) openRestored() error {
	p, err := spool.ReadFile(q.fs, q.o.Dir, restoredName)
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", restoredName, err)
	case p == nil:
		return nil
	case string(p) != restoredVersion:
		return fmt.Errorf("%w: %s", ErrVersion, restoredName)
	}
	q.restored.Store(true)
	return nil
}

// holdRestored holds all that has waited since before Open, and then lets the queue
// move.
func (q *Queue) holdRestored() {
	defer q.running.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-q.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	a := action{to: Held, from: []State{Ready, Deferred, Failed}}
	_, err := q.act(ctx, Filter{until: q.base}, a, "restored from a backup")
	if err == nil {
		err = errors.Join(q.fs.Remove(q.fs.PathJoin(q.o.Dir, restoredName)), cold.SyncDir(q.fs, q.o.Dir))
	}
	if err != nil {
		select {
		case <-q.stop: // it begins anew at the next start
		default:
			q.alarm("restored", fmt.Errorf("hold what was restored: %w", err))
		}
		return
	}
	q.restored.Store(false)
	q.wakeAll()
	q.kickFailed()
}

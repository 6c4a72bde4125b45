package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Backup writes to dir, which it makes, a copy of the store as a power cut right now
// would leave it, while everything goes on: all that had returned before the call is in
// it. A folder that was copied back from there is opened like any other; its mailboxes
// have another UIDVALIDITY then, since clients may know of messages that came after
// the backup.
//
// Sealed segments, tables of the index and large texts are linked, so dir should be on
// the same file system. While it is made no disk is given back.
func (s *Store) Backup(ctx context.Context, dir string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.compactor.mu.Lock()
	defer s.compactor.mu.Unlock()
	s.keep.begin()
	defer func() {
		for _, blob := range s.keep.end() {
			s.removeLarge(blob)
		}
	}()
	if err := s.backup(ctx, dir); err != nil {
		return fmt.Errorf("back up the mail store: %w", err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, dir string) error {
	join := s.fs.PathJoin
	if err := s.fs.MkdirAll(join(dir, "large"), 0o700); err != nil {
		return err
	}
	// The index first: the log reaches further than it does, and the large files that
	// the log names are there by then.
	err := s.guard(func() error {
		if err := s.db.Flush(); err != nil {
			return err
		}
		return s.db.Checkpoint(join(dir, "index"))
	})
	if err != nil {
		return err
	}
	if _, err := s.log.Snapshot(ctx, join(dir, "log")); err != nil {
		return err
	}
	names, err := s.fs.List(s.largeDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		err := vfs.LinkOrCopy(s.fs, join(s.largeDir, name), join(dir, "large", name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a draft's that was given up
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := syncDir(s.fs, join(dir, "large")); err != nil {
		return err
	}
	if err := markRestored(s, dir); err != nil {
		return err
	}
	return syncDir(s.fs, s.fs.PathDir(dir))
}

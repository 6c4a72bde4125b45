package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/internal/config"
)

// ErrNoMailboxes reports a data folder without mailboxes.
var ErrNoMailboxes = errors.New("there are no mailboxes yet")

// OpenMailboxes opens the store of local mail while no daemon runs: a command does
// by itself what it otherwise asks the daemon for. It returns mailbox.ErrLocked
// when one does run. Without create a store that is not there is ErrNoMailboxes.
func OpenMailboxes(cfg *config.Config, create bool) (store transfer.Store, done func() error, err error) {
	dir := mailboxDir(cfg)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, nil, ErrNoMailboxes
	}
	var s *mailbox.Store
	o, fatal := offlineOptions(cfg)
	_, err = unlessFatal(fatal, func() (err error) {
		s, err = mailbox.Open(o)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("mailboxes: %w", err)
	}
	return transfer.Local{Store: s}, s.Close, nil
}

// offlineOptions also returns the channel that tells of a store that has failed.
func offlineOptions(cfg *config.Config) (mailbox.Options, <-chan error) {
	fatal := make(chan error, 1)
	return mailbox.Options{
		Dir: mailboxDir(cfg), SegmentBytes: cfg.Mailboxes.Segment, CacheBytes: cfg.Mailboxes.Cache, ReserveBytes: cfg.Mailboxes.Reserve,
		Fatal: func(err error) {
			select {
			case fatal <- err:
			default: // it is known
			}
		},
	}, fatal
}

// RebuildMailboxes makes the index of the mailboxes anew from their log, which
// may have damaged pieces when salvage is set. It returns mailbox.ErrLocked while
// a daemon runs.
func RebuildMailboxes(ctx context.Context, cfg *config.Config, salvage bool) (*mailbox.Rebuilt, error) {
	o, fatal := offlineOptions(cfg)
	if _, err := os.Stat(o.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoMailboxes
	}
	o.Salvage = salvage
	var r *mailbox.Rebuilt
	ended, err := unlessFatal(fatal, func() (err error) {
		r, err = mailbox.Rebuild(ctx, o)
		return err
	})
	if !ended {
		return nil, err
	}
	return r, err
}

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
	s, err := mailbox.Open(offlineOptions(cfg))
	if err != nil {
		return nil, nil, fmt.Errorf("mailboxes: %w", err)
	}
	return transfer.Local{Store: s}, s.Close, nil
}

func offlineOptions(cfg *config.Config) mailbox.Options {
	return mailbox.Options{
		Dir: mailboxDir(cfg), SegmentBytes: cfg.Mailboxes.Segment, CacheBytes: cfg.Mailboxes.Cache, ReserveBytes: cfg.Mailboxes.Reserve,
	}
}

// RebuildMailboxes makes the index of the mailboxes anew from their log, which
// may have damaged pieces when salvage is set. It returns mailbox.ErrLocked while
// a daemon runs.
func RebuildMailboxes(ctx context.Context, cfg *config.Config, salvage bool) (*mailbox.Rebuilt, error) {
	o := offlineOptions(cfg)
	if _, err := os.Stat(o.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoMailboxes
	}
	o.Salvage = salvage
	return mailbox.Rebuild(ctx, o)
}

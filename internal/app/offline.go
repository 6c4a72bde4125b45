package app

import (
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
	s, err := mailbox.Open(mailbox.Options{
		Dir: dir, SegmentBytes: cfg.Mailboxes.Segment, CacheBytes: cfg.Mailboxes.Cache, ReserveBytes: cfg.Mailboxes.Reserve,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("mailboxes: %w", err)
	}
	return transfer.Local{Store: s}, s.Close, nil
}

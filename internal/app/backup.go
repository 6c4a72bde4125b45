package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"postrider/internal/backup"
)

// backup writes a copy of everything to the new or empty folder dir, while mail goes
// on: the queue, the mailboxes, what else is in the data folder but the event log, the
// configuration and the files that it names.
func (a *App) backup(ctx context.Context, dir string) error {
	cfg := a.reloaded.Load().cfg
	b, err := backup.Begin(dir, cfg.DataDir)
	if err != nil {
		return err
	}
	// The queue first: a message on its way from there into a mailbox is in one of
	// them, or in both, and is then not filed twice, since its key is there as well.
	defer a.engine.KeepKeys()()
	if err := a.engine.Queue().Backup(ctx, b.Data("queue")); err != nil {
		return err
	}
	if a.mailboxes != nil {
		if err := a.mailboxes.Backup(ctx, b.Data("mailboxes")); err != nil {
			return err
		}
	}
	events := filepath.Base(cfg.Log.Events)
	err = b.Rest(ctx, func(name string) bool {
		return name == "queue" || name == "mailboxes" || strings.HasPrefix(name, events)
	})
	if err != nil {
		return fmt.Errorf("back up the data folder: %w", err)
	}
	for _, path := range cfg.Files() {
		if err := b.File(ctx, path); err != nil {
			return fmt.Errorf("back up %s: %w", path, err)
		}
	}
	return b.Finish()
}

package app

import (
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"postrider/delivery/mailbox"
	"postrider/internal/config"
)

// mailboxDir is where the mailboxes live below data_dir.
func mailboxDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "mailboxes") }

// openMailboxes opens the store of local mail, if there is any. It is opened
// before the queue, which may hold mail for it, and closed after it.
func (a *App) openMailboxes() error {
	if len(a.cfg.Local.Domains) == 0 {
		return nil
	}
	var err error
	a.mailboxes, err = mailbox.Open(mailbox.Options{
		Dir:          mailboxDir(a.cfg),
		SegmentBytes: a.cfg.Mailboxes.Segment,
		CacheBytes:   a.cfg.Mailboxes.Cache,
		ReserveBytes: a.cfg.Mailboxes.Reserve,
		Salvage:      a.o.Salvage,
		Fatal:        a.failMailboxes,
		Metrics: &mailbox.Metrics{
			Group: func(records, _ int, _, sync time.Duration) { a.metrics.MailboxSync(records, sync) },
			Alarm: func(kind string, err error) {
				a.log.Store(kind, err)
				a.diag.Warn("mailboxes", zap.String("kind", kind), zap.Error(err))
			},
		},
	})
	if err != nil {
		return fmt.Errorf("mailboxes: %w", err)
	}
	return nil
}

// failMailboxes is called by the store, once.
func (a *App) failMailboxes(err error) {
	a.log.Store("fatal", err)
	a.diag.Error("the mailboxes cannot be written; ending", zap.Error(err))
	a.end(err)
}

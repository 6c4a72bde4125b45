package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"postrider/delivery"
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

// openAgent readies the delivery into the mailboxes.
func (a *App) openAgent() {
	if a.mailboxes == nil {
		return
	}
	a.agent = delivery.New(delivery.Options{Store: a.mailboxes, Users: a.users.auth, Quota: a.quotaOf, Settings: deliverySettings(a.cfg)})
}

// deliverySettings is how mail is filed under cfg.
func deliverySettings(cfg *config.Config) delivery.Settings {
	s := delivery.Settings{FullIsPermanent: cfg.Local.OverQuota == config.OverQuotaPermanent}
	if cfg.Local.Separator != "" {
		s.Separator = cfg.Local.Separator[0]
	}
	return s
}

// quotaOf returns the bounds of a user's mailboxes: his own, or those of all.
func (a *App) quotaOf(ctx context.Context, user string) (limitBytes, limitMessages int64, err error) {
	limitBytes, limitMessages, err = a.users.auth.Quota(ctx, user)
	all := &a.reloaded.Load().cfg.Local
	return max(cmp.Or(limitBytes, all.Quota), 0), max(cmp.Or(limitMessages, all.QuotaMessages), 0), err
}

// accountOf returns the account of a user who has logged in, which is made when
// there was no mail for him yet.
func (a *App) accountOf(ctx context.Context, user string) (*mailbox.Account, error) {
	if a.mailboxes == nil {
		return nil, errNoMailboxes
	}
	account, err := a.mailboxes.Account(user)
	if !errors.Is(err, mailbox.ErrNoAccount) {
		return account, err
	}
	if account, err = a.mailboxes.CreateAccount(ctx, user); err != nil {
		return nil, err
	}
	limitBytes, limitMessages, err := a.quotaOf(ctx, user)
	if err != nil {
		return nil, err
	}
	return account, account.SetQuota(ctx, limitBytes, limitMessages)
}

var errNoMailboxes = errors.New("no [local] domains, so there are no mailboxes")

// failMailboxes is called by the store, once.
func (a *App) failMailboxes(err error) {
	a.log.Store("fatal", err)
	a.diag.Error("the mailboxes cannot be written; ending", zap.Error(err))
	a.end(err)
}

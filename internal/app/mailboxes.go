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
	"postrider/internal/auth"
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

// quotaOf returns the bounds of a user's mailboxes.
func (a *App) quotaOf(ctx context.Context, user string) (limitBytes, limitMessages int64, err error) {
	ownBytes, ownMessages, err := a.users.auth.Quota(ctx, user)
	limitBytes, limitMessages = a.boundsOf(ownBytes, ownMessages)
	return limitBytes, limitMessages, err
}

// boundsOf returns a user's own bounds, or those of all where there are none.
func (a *App) boundsOf(ownBytes, ownMessages int64) (limitBytes, limitMessages int64) {
	all := &a.reloaded.Load().cfg.Local
	return max(cmp.Or(ownBytes, all.Quota), 0), max(cmp.Or(ownMessages, all.QuotaMessages), 0)
}

// accountOf returns the account of a user who has logged in, which is made when there was
// no mail for him yet. The user's limits are in force then: what he adds himself need not
// wait for a delivery to be measured by the present ones.
func (a *App) accountOf(ctx context.Context, user *auth.User) (*mailbox.Account, error) {
	if a.mailboxes == nil {
		return nil, errNoMailboxes
	}
	account, err := a.mailboxes.Account(user.Name)
	made := errors.Is(err, mailbox.ErrNoAccount)
	if made {
		account, err = a.mailboxes.CreateAccount(ctx, user.Name)
	}
	if err != nil {
		return nil, err
	}
	limitBytes, limitMessages := a.boundsOf(user.QuotaBytes, user.QuotaMessages)
	if q := account.Quota(); q.LimitBytes == limitBytes && q.LimitMessages == limitMessages {
		return account, nil
	}
	if err := account.SetQuota(ctx, limitBytes, limitMessages); err != nil {
		if made {
			return nil, err
		}
		a.diag.Warn("the limits of an account could not be changed", zap.String("user", user.Name), zap.Error(err)) // the old ones hold
	}
	return account, nil
}

var errNoMailboxes = errors.New("no [local] domains, so there are no mailboxes")

// failMailboxes is called by the store, once.
func (a *App) failMailboxes(err error) {
	a.log.Store("fatal", err)
	a.diag.Error("the mailboxes cannot be written; ending", zap.Error(err))
	a.end(err)
}

package app

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"postrider/internal/auth"
	"postrider/internal/auth/userfile"
	"postrider/internal/config"
)

// users are the people who log in and whose mail is kept here, from whatever
// databases the configuration names.
type users struct {
	auth *auth.Authenticator
	file *userfile.File // nil: none

	stop  context.CancelFunc
	watch chan struct{} // closed when the file is watched no more
}

// openUsers readies the logins of all protocols.
func (a *App) openUsers() error {
	u := &users{stop: func() {}, watch: make(chan struct{})}
	if path := a.cfg.Users.File; path != "" {
		var err error
		if u.file, err = userfile.Open(path); err != nil {
			return fmt.Errorf("users %s: %w", path, err)
		}
	}
	u.auth = auth.New(u.options(a.cfg, nil))
	a.users = u
	if u.file == nil {
		close(u.watch)
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	u.stop = stop
	go func() {
		defer close(u.watch)
		u.file.Watch(ctx, a.usersRead)
	}()
	return nil
}

// usersRead tells what became of a users file that has changed.
func (a *App) usersRead(n int, err error) {
	if err != nil {
		a.diag.Error("the users file was refused; the old users stay", zap.String("path", a.users.file.Path()), zap.Error(err))
		return
	}
	a.diag.Info("the users file was read again", zap.String("path", a.users.file.Path()), zap.Int("users", n))
}

// options are what cfg says of logins.
func (u *users) options(cfg *config.Config, observe func(*auth.Outcome)) auth.Options {
	l := cfg.Limits
	allow := func(burst int) auth.Allowance {
		if burst <= 0 {
			return auth.Allowance{Burst: -1}
		}
		return auth.Allowance{Burst: burst, Interval: l.LoginWindow / time.Duration(burst)}
	}
	o := auth.Options{
		Clear: cfg.Users.ClearText != config.ClearTextNever,
		Cores: cfg.Users.Cores,
		Cache: cmp.Or(cfg.Users.Cache, -1), // 0 asks for none
		Limits: auth.Limits{
			PerAddress: allow(l.LoginFailuresPerClient),
			PerNetwork: allow(l.LoginFailuresPerNetwork),
			PerAccount: allow(l.LoginFailuresPerAccount),
			Delay:      cmp.Or(cfg.Users.Delay, -1),
			MaxDelay:   cfg.Users.MaxDelay,
		},
		Observe: observe,
	}
	if len(cfg.Local.Domains) > 0 {
		o.Domain = cfg.Local.Domains[0]
	}
	if u.file != nil {
		o.Databases = append(o.Databases, u.file)
		o.Secret = u.file.Secret
	}
	return o
}

// close ends the logins; no session may be left.
func (u *users) close() {
	u.stop()
	<-u.watch
	u.auth.Close()
}

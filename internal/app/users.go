package app

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"postrider/internal/auth"
	"postrider/internal/auth/userfile"
	"postrider/internal/config"
	"postrider/internal/maillog"
)

// users are the people who log in and whose mail is kept here, from whatever
// databases the configuration names.
type users struct {
	auth *auth.Authenticator
	// observe is told of each login that was tried.
	observe func(*auth.Outcome)
	file    *userfile.File // nil: none
	far     directories

	stop  context.CancelFunc
	watch chan struct{} // closed when the file is watched no more
}

// openUsers readies the logins of all protocols.
func (a *App) openUsers() error {
	u := &users{observe: a.loginTried, stop: func() {}, watch: make(chan struct{})}
	var err error
	if path := a.cfg.Users.File; path != "" {
		if u.file, err = userfile.Open(path); err != nil {
			return fmt.Errorf("users file: %w", err)
		}
	}
	if u.far, err = openDirectories(a.cfg); err != nil {
		return err
	}
	u.auth = auth.New(u.options(a.cfg))
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

// loginTried writes down what became of a login.
func (a *App) loginTried(o *auth.Outcome) {
	a.metrics.Login(o.Attempt.Protocol, o.Reason.String(), o.Took, o.Cached)
	a.log.Login(&maillog.Login{
		Session: o.Attempt.Session, Client: o.Attempt.Client, Service: o.Attempt.Protocol, Mechanism: o.Mechanism,
		User: o.Name, TLS: o.Attempt.TLS, Result: o.Reason.String(), Cached: o.Cached, Took: o.Took, Delay: o.Delay, Err: o.Err,
	})
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
func (u *users) options(cfg *config.Config) auth.Options {
	l := cfg.Limits
	allow := func(burst int) auth.Allowance {
		if burst <= 0 {
			return auth.Allowance{Burst: -1}
		}
		return auth.Allowance{Burst: burst, Interval: l.LoginWindow / time.Duration(burst)}
	}
	o := auth.Options{
		Cores: cfg.Users.Cores,
		Cache: cmp.Or(cfg.Users.Cache, -1), // 0 asks for none
		Limits: auth.Limits{
			PerAddress: allow(l.LoginFailuresPerClient),
			PerNetwork: allow(l.LoginFailuresPerNetwork),
			PerAccount: allow(l.LoginFailuresPerAccount),
			PerKnown:   allow(l.LoginFailuresPerClient),
			Delay:      cmp.Or(cfg.Users.Delay, -1),
			MaxDelay:   cfg.Users.MaxDelay,
		},
		Observe: u.observe,
	}
	if len(cfg.Local.Domains) > 0 {
		o.Domain = cfg.Local.Domains[0]
	}
	if u.file != nil {
		o.Databases = append(o.Databases, u.file)
		o.Secret = u.file.Secret
	}
	o.Databases = append(o.Databases, u.far.databases...)
	o.Tokens = u.far.tokens
	return o
}

// clearLogin says which clients may send a password to l without TLS; nil: none.
func clearLogin(cfg *config.Config, l config.Listener) func(netip.Addr) bool {
	switch {
	case l.TLS != config.TLSOff:
		return nil
	case cfg.Users.ClearText == config.ClearTextAlways:
		return func(netip.Addr) bool { return true }
	case cfg.Users.ClearText == config.ClearTextLoopback:
		return netip.Addr.IsLoopback
	}
	return nil
}

// close ends the logins; no session may be left.
func (u *users) close() error {
	u.stop()
	<-u.watch
	u.auth.Close()
	return u.far.close()
}

// check says whether the users file can be read as it is now.
func (u *users) check() error {
	if u.file == nil {
		return nil
	}
	if _, err := userfile.Load(u.file.Path()); err != nil {
		return fmt.Errorf("users file: %w", err)
	}
	return nil
}

// reload takes what cfg says of logins, and the users file as it is now.
func (u *users) reload(cfg *config.Config) {
	if u.file != nil {
		_ = u.file.Reload() // it was checked; whatever has come since is told by the watch
	}
	u.auth.Reload(u.options(cfg))
}

package app

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"postrider/internal/config"
	"postrider/relay"
)

// Reload reads the configuration file again and swaps what can change while
// running: routes, networks, domains, limits and certificates. All of it takes
// effect or, when anything is wrong, none; the error says what.
func (a *App) Reload() error {
	if err := a.log.Reopen(); err != nil {
		a.diag.Error("event log", zap.Error(err))
	}
	if a.cfg.Path == "" {
		return a.certs.Reload(certOptions(a.cfg))
	}
	cfg, err := config.Load(a.cfg.Path)
	var rules *relay.Rules
	if err == nil {
		rules, err = rulesOf(cfg)
	}
	if err == nil {
		err = a.users.check()
	}
	if err == nil {
		err = a.certs.Reload(certOptions(cfg))
	}
	if err != nil {
		old := a.reloaded.Load()
		a.reloaded.Store(&reloadState{cfg: old.cfg, at: old.at, err: err})
		a.log.ConfigRejected(a.cfg.Path, err)
		a.metrics.Reloaded(time.Now(), false)
		a.diag.Error("the configuration was refused; the old one stays", zap.Error(err))
		return err
	}
	for _, key := range needsRestart(a.cfg, cfg) {
		a.diag.Warn("this setting takes effect at the next start", zap.String("key", key))
	}
	a.warn(cfg)
	a.engine.Reload(rules)
	if a.agent != nil {
		a.agent.Reload(deliverySettings(cfg))
	}
	a.users.reload(cfg)
	for _, s := range a.servers {
		s.reload(cfg)
	}
	cfg.Listeners, cfg.DataDir = a.cfg.Listeners, a.cfg.DataDir
	a.cfg = cfg
	a.reloaded.Store(&reloadState{cfg: cfg, at: time.Now()})
	a.log.ConfigLoaded(cfg.Path)
	a.metrics.Reloaded(time.Now(), true)
	a.diag.Info("the configuration was loaded again", zap.String("path", cfg.Path))
	return nil
}

// warn tells the operator what of the configuration cannot be meant.
func (a *App) warn(cfg *config.Config) {
	for _, w := range cfg.Warnings {
		a.diag.Warn("configuration", zap.String("warning", w.Error()))
	}
}

// needsRestart names the settings that differ and that only a start can change.
func needsRestart(old, cfg *config.Config) (keys []string) {
	differ := func(key string, different bool) {
		if different {
			keys = append(keys, key)
		}
	}
	sameListeners := len(old.Listeners) == len(cfg.Listeners)
	for i := 0; sameListeners && i < len(cfg.Listeners); i++ {
		sameListeners = old.Listeners[i] == cfg.Listeners[i]
	}
	differ("[[listener]]", !sameListeners)
	differ("data_dir", old.DataDir != cfg.DataDir)
	differ("hostname", old.Hostname != cfg.Hostname)
	differ("[queue]", old.Queue != cfg.Queue)
	differ("[dns]", !slices.Equal(old.DNS.Servers, cfg.DNS.Servers))
	differ("[outbound] connections", old.Outbound.Connections != cfg.Outbound.Connections)
	differ("[outbound] total_connections", old.Outbound.TotalConnections != cfg.Outbound.TotalConnections)
	differ("[bounce] per_victim", old.Bounce.PerVictim != cfg.Bounce.PerVictim)
	differ("[mailboxes]", old.Mailboxes != cfg.Mailboxes)
	differ("[local] domains", (len(old.Local.Domains) == 0) != (len(cfg.Local.Domains) == 0)) // the first one opens the mailboxes
	differ("[users] file", old.Users.File != cfg.Users.File)
	differ("[users] cores", old.Users.Cores != cfg.Users.Cores)
	differ("[users.sql]", old.Users.SQL != cfg.Users.SQL)
	differ("[users.ldap]", old.Users.LDAP != cfg.Users.LDAP)
	differ("[users.oauth]", old.Users.OAuth != cfg.Users.OAuth)
	differ("[autoconfig]", old.Autoconfig != cfg.Autoconfig)
	differ("[admin]", old.Admin != cfg.Admin)
	differ("[log]", old.Log != cfg.Log)
	return keys
}

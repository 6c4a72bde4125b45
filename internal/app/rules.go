package app

import (
	"io"
	"path/filepath"

	"postrider/internal/certs"
	"postrider/internal/config"
	"postrider/internal/maillog"
	"postrider/relay"
	"postrider/relay/policy"
	"postrider/relay/route"
)

// rulesOf makes the snapshot that a reload swaps. An error says what of the files
// that the configuration names cannot be used.
func rulesOf(cfg *config.Config) (*relay.Rules, error) {
	replies, err := repliesOf(cfg)
	if err != nil {
		return nil, err
	}
	sites, err := sitesOf(cfg)
	if err != nil {
		return nil, err
	}
	templates, err := templatesOf(cfg)
	if err != nil {
		return nil, err
	}
	return &relay.Rules{
		Access:     accessOf(cfg),
		Routes:     route.New(routesOf(cfg)),
		Postmaster: []byte(cfg.Local.Postmaster),
		Replies:    replies,
		Sites:      sites,
		Templates:  templates,
		Caps:       capsOf(cfg, sites),
	}, nil
}

// accessOf says whom mail is taken from.
func accessOf(cfg *config.Config) *policy.Rules {
	return policy.New(policy.Options{
		Networks:     cfg.Relay.Networks,
		RelayDomains: cfg.Relay.Domains,
		LocalDomains: cfg.Local.Domains,
	})
}

func logOptions(cfg *config.Config, events io.Writer) maillog.Options {
	rotate, total := boundLog(cfg.Log.Rotate, cfg.Log.MaxTotal, diskBytes(filepath.Dir(cfg.Log.Events)))
	return maillog.Options{
		Path:        cfg.Log.Events,
		Output:      events,
		Node:        cfg.Hostname,
		DropOnStall: cfg.Log.OnStall == "drop_count",
		RotateBytes: rotate,
		Keep:        cfg.Log.Keep,
		TotalBytes:  total,
		Sessions:    cfg.Log.Sessions,
	}
}

func certOptions(cfg *config.Config) certs.Options {
	return certs.Options{Certificate: cfg.TLS.Certificate, Key: cfg.TLS.Key, Hostname: cfg.Hostname}
}

package app

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"postrider/internal/auth/userfile"
	"postrider/internal/certs"
	"postrider/internal/config"
	"postrider/internal/maillog"
	"postrider/relay"
	"postrider/relay/aliases"
	"postrider/relay/policy"
	"postrider/relay/resolve"
	"postrider/relay/route"
	"postrider/relay/srs"
)

// rulesOf makes the snapshot that a reload swaps. An error says what of the files
// that the configuration names cannot be used.
func rulesOf(cfg *config.Config) (*relay.Rules, error) {
	replies, badReplies := repliesOf(cfg)
	sites, badSites := sitesOf(cfg)
	templates, badTemplates := templatesOf(cfg)
	if err := errors.Join(badReplies, badSites, badTemplates); err != nil {
		return nil, err
	}
	access, routes := accessOf(cfg), route.New(routesOf(cfg))
	resolves, err := resolveOf(cfg, access, routes)
	if err != nil {
		return nil, err
	}
	var notices *route.Pool
	if cfg.Bounce.Pool != "" {
		notices = routes.Pool(cfg.Bounce.Pool)
	}
	bounds := limitsFor(cfg, sites)
	return &relay.Rules{
		Submission: submissionOf(cfg),
		NoticePool: notices,
		Access:     access,
		Routes:     routes,
		Resolve:    resolves,
		Postmaster: []byte(cfg.Local.Postmaster),
		NoDirect:   !cfg.Local.Direct,
		Replies:    replies,
		Sites:      sites,
		Templates:  templates,
		Caps:       bounds.lane,
		Providers:  bounds.providers,
		Sources:    bounds.source,
	}, nil
}

// submissionOf says what users may write as.
func submissionOf(cfg *config.Config) relay.Submission {
	s := relay.Submission{CheckSender: cfg.Submission.CheckSender, HideClient: cfg.Submission.HideClient}
	if cfg.Local.Separator != "" {
		s.Separator = cfg.Local.Separator[0]
	}
	return s
}

// Check reads the files that a configuration names, as a start would, and tells
// everything that is wrong with them.
func Check(cfg *config.Config) error {
	_, rules := rulesOf(cfg)
	_, certificate := certs.Open(certOptions(cfg))
	var token error
	if cfg.Admin.TokenFile != "" {
		_, token = readToken(cfg.Admin.TokenFile)
	}
	var users error
	if cfg.Users.File != "" {
		if _, users = userfile.Load(cfg.Users.File); users != nil {
			users = fmt.Errorf("users file: %w", users)
		}
	}
	far, directories := openDirectories(cfg)
	return errors.Join(rules, certificate, token, users, directories, far.close())
}

// resolveOf says what addresses at RCPT stand for.
func resolveOf(cfg *config.Config, access *policy.Rules, routes *route.Table) (*resolve.Rules, error) {
	r := &resolve.Rules{Access: access, Routes: routes, Postmaster: []byte(cfg.Local.Postmaster)}
	var err error
	if cfg.Aliases.File != "" {
		if r.Aliases, err = aliases.Open(cfg.Aliases.File, aliases.Options{Local: cfg.Local.Domains, Relay: cfg.Relay.Domains}); err != nil {
			return nil, err
		}
	}
	if cfg.SRS.Domain == "" {
		return r, nil
	}
	o := srs.Options{Domain: cfg.SRS.Domain, MaxAge: cfg.SRS.MaxAge, HashLength: cfg.SRS.HashLength}
	for _, s := range cfg.SRS.Secrets {
		o.Secrets = append(o.Secrets, string(s))
	}
	if r.SRS, err = srs.New(o); err != nil {
		return nil, fmt.Errorf("[srs]: %w", err)
	}
	return r, nil
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

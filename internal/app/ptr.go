package app

import (
	"context"
	"errors"
	"net/netip"

	"go.uber.org/zap"

	"postrider/internal/config"
	"postrider/relay/site"
)

// checkSources starts what runs beside all else: it keeps what is learned of sites,
// gives memory back while it is calm, and tells the operator of sources whose names do not fit, since many receivers refuse
// mail from an address whose name leads elsewhere.
func (a *App) checkSources(ctx context.Context) {
	ctx, a.stopChecks = context.WithCancel(context.WithoutCancel(ctx))
	path := a.learnedPath()
	a.background.Go(func() { a.keepLearned(ctx, path) })
	a.background.Go(func() { tidy(ctx) })
	sources := a.cfg.Sources
	if len(sources) == 0 {
		return
	}
	a.background.Go(func() {
		for i := range sources {
			for _, addr := range []netip.Addr{sources[i].Address, sources[i].Address6} {
				if addr.IsValid() && ctx.Err() == nil {
					a.checkSource(ctx, &sources[i], addr)
				}
			}
		}
	})
}

func (a *App) checkSource(ctx context.Context, s *config.Source, addr netip.Addr) {
	hello := s.Hello
	if hello == "" {
		hello = a.reloaded.Load().cfg.Hostname
	}
	err := site.CheckPTR(ctx, a.resolver, addr, hello)
	if errors.Is(err, site.ErrNames) {
		a.diag.Warn("receivers may refuse mail from this source", zap.String("source", s.Name), zap.Stringer("address", addr), zap.Error(err))
	}
}

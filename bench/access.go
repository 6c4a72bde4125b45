package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"postrider/bench/access"
	"postrider/bench/result"
)

// access plays the workloads of mailbox readers one after another.
func (r *round) access(ctx context.Context, run *result.Run) error {
	a := r.s.Access
	r.p.begin(r)
	r.began = time.Now()
	defer r.watchMemory(ctx)()
	workloads := strings.Split(a.Workload, ",")
	each := a.Duration.Or(10*time.Second) / time.Duration(len(workloads))
	for i, w := range workloads {
		b, err := access.New(access.Options{
			POP3: r.server.POP3(), IMAP: r.server.IMAP(), LMTP: r.server.LMTP(),
			Workload: access.Workload(strings.TrimSpace(w)), Protocol: a.Protocol,
			Users: max(1, a.Users), UserFormat: "u%d@" + mailboxDomain, Password: password,
			Conns: a.Conns, Duration: each, Rate: a.Rate, Size: a.Size, Sessions: a.Sessions,
			Seed: r.seed()<<8 + uint64(i), TLS: access.TLSMode(a.TLS),
		})
		if err != nil {
			return err
		}
		if a.Fill > 0 && i == 0 {
			r.p.note("filling %d mailboxes with %d messages each", a.Users, a.Fill)
			filled, err := b.Fill(ctx, a.Fill)
			run.Access = append(run.Access, filled...)
			if err != nil {
				return fmt.Errorf("filling the mailboxes: %w", err)
			}
		}
		found, err := b.Run(ctx)
		run.Access = append(run.Access, found...)
		if err != nil {
			return fmt.Errorf("workload %s: %w", w, err)
		}
		checked, err := b.Check(ctx, true)
		run.Access = append(run.Access, checked...)
		if err != nil {
			return fmt.Errorf("looking at the mailboxes: %w", err)
		}
	}
	run.Seconds = time.Since(r.began).Seconds()
	r.loaded, r.drained = time.Now(), time.Now()
	return nil
}

// watchMemory looks once in a while how much memory the server has: the peak is
// the most that was seen.
func (r *round) watchMemory(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		meter := r.server.Meter()
		for pause(ctx, time.Second/2) {
			if _, err := meter.Sample(); err != nil {
				return // who needs the cost will say why there is none
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench/load"
)

// loadFlags are what the options of load can't take as they are.
type loadFlags struct {
	size, sources string
	fresh, strict bool
	json          bool
}

func loadCommand() *cobra.Command {
	var o load.Options
	var f loadFlags
	c := &cobra.Command{
		Use:   "load --to HOST:PORT",
		Short: "send messages and account for each",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runLoad(c, o, f) },
	}
	p := c.Flags()
	p.StringVar(&o.Address, "to", "", "server, HOST:PORT or unix:PATH")
	p.IntVar(&o.Conns, "conns", 64, "connections at once")
	p.Int64Var(&o.Messages, "messages", 0, "messages in all (100000 unless --duration is given)")
	p.DurationVar(&o.Duration, "duration", 0, "end after this time")
	p.StringVar(&f.size, "size", "4096", "bytes of a message, or a mix: 4096:80,65536:20")
	p.IntVar(&o.Recipients, "rcpts", 1, "recipients of a message")
	p.StringSliceVar(&o.Domains, "domains", nil, "domains of the recipients, in turn")
	p.StringVar(&o.Sender, "from", "", "sender")
	p.Uint64Var(&o.Run, "run", 1, "number of this run in X-Bench")
	p.Uint64Var(&o.FirstSeq, "first", 0, "number of the first message")
	p.BoolVar(&o.BDAT, "bdat", false, "send by BDAT, all of a message in one flight")
	p.IntVar(&o.InFlight, "inflight", 1, "with --bdat: messages in the air on a connection")
	p.BoolVar(&f.strict, "no-pipelining", false, "one command at a time")
	p.IntVar(&o.PerConnection, "per-connection", 0, "messages after which a connection is replaced; 0: kept")
	p.BoolVar(&f.fresh, "fresh", false, "one message a connection")
	p.StringVar(&f.sources, "sources", "", "addresses to connect from, in turn")
	p.DurationVar(&o.Timeout, "timeout", time.Minute, "for a connection and for each reply")
	p.BoolVar(&f.json, "json", false, "the summary as JSON")
	return c
}

func runLoad(c *cobra.Command, o load.Options, f loadFlags) error {
	o.Strict = f.strict
	if f.fresh {
		o.PerConnection = 1
	}
	if o.Messages == 0 && o.Duration == 0 {
		o.Messages = 100_000
	}
	var err error
	if o.Sizes, err = parseSizes(f.size); err != nil {
		return err
	}
	for a := range strings.SplitSeq(f.sources, ",") {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return fmt.Errorf("--sources: %w", err)
		}
		o.Sources = append(o.Sources, addr)
	}
	s, err := load.New(o)
	if err != nil {
		return err
	}
	used := newCost()
	ctx, cancel := context.WithCancel(c.Context())
	var wg sync.WaitGroup
	wg.Go(func() { watchLoad(ctx, c.ErrOrStderr(), s) })
	r := s.Run(ctx)
	cancel()
	wg.Wait()
	if err := printLoad(c.OutOrStdout(), &r, used, f.json); err != nil {
		return failure{err}
	}
	switch {
	case r.Accepted == 0 && r.Err != nil:
		return failure{r.Err}
	case r.Unknown+r.Unsent > 0:
		return failure{fmt.Errorf("%d unknown, %d unsent: %w", r.Unknown, r.Unsent, r.Err)}
	}
	return nil
}

// watchLoad writes a line each second.
func watchLoad(ctx context.Context, w io.Writer, s *load.SMTP) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	last := int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			n := s.Counts()
			fmt.Fprintf(w, "accepted %d (%d/s) refused %d unknown %d unsent %d connections %d\n",
				n.Accepted, n.Accepted-last, n.Refused, n.Unknown, n.Unsent, n.Connections)
			last = n.Accepted
		}
	}
}

func printLoad(w io.Writer, r *load.Result, used cost, asJSON bool) error {
	cpu := used.perMessage(r.Accepted + r.Refused)
	q := func(p float64) int64 { return r.Latency.ValueAtQuantile(p) }
	if asJSON {
		return writeJSON(w, struct {
			load.Counts
			Seconds, Rate, CPUMicros float64
			P50, P90, P99, P999, Max int64 // microseconds
		}{r.Counts, r.Elapsed.Seconds(), r.Rate(), cpu, q(50), q(90), q(99), q(99.9), r.Latency.Max()})
	}
	_, err := fmt.Fprintf(w, "accepted %d refused %d unknown %d unsent %d; recipients accepted %d refused %d unknown %d unsent %d\n"+
		"%.2f s, %.0f/s, %d connections, %d failures; latency us p50 %d p90 %d p99 %d p99.9 %d max %d; own CPU %.1f us/message\n",
		r.Accepted, r.Refused, r.Unknown, r.Unsent, r.AcceptedDuties, r.RefusedDuties, r.UnknownDuties, r.UnsentDuties,
		r.Elapsed.Seconds(), r.Rate(), r.Connections, r.Failures, q(50), q(90), q(99), q(99.9), r.Latency.Max(), cpu)
	return err
}

// parseSizes reads "4096" or "4096:80,65536:20".
func parseSizes(text string) ([]load.Size, error) {
	var sizes []load.Size
	for part := range strings.SplitSeq(text, ",") {
		bytes, weight, weighted := strings.Cut(part, ":")
		n, err := strconv.Atoi(bytes)
		w := 1
		if err == nil && weighted {
			w, err = strconv.Atoi(weight)
		}
		if err != nil || w < 1 {
			return nil, fmt.Errorf("--size: %q is neither BYTES nor BYTES:WEIGHT", part)
		}
		sizes = append(sizes, load.Size{Bytes: n, Weight: w})
	}
	return sizes, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/bench/load"
)

// loadFlags are what the options of load can't take as they are.
type loadFlags struct {
	size, sources  string
	rcpts, domains string
	pace, shape    string
	tls, hlog      string
	fresh, strict  bool
	json           bool
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
	p.DurationVar(&o.Warmup, "warmup", 0, "left out of the figures, before --duration begins")
	p.StringVar(&f.pace, "rate", "closed", "closed, constant:1000, poisson:1000, burst:base=500,peak=5000,for=10s,every=30s, ramp:from=500,step=10%,every=10s, replay:FILE")
	p.DurationVar(&o.Think, "think", 0, "pause of a connection between two messages, when closed")
	p.StringVar(&f.shape, "shape", "plain", "of the texts: plain, or some of mime, 8bit, smtputf8, longlines, random, signed with commas")
	p.IntVar(&o.Users, "users", 0, "recipients are u0 to u<n-1> of their domain, for servers that know their mailboxes; 0: an address for each duty")
	p.BoolVar(&o.LMTP, "lmtp", false, "speak LMTP")
	p.StringVar(&f.tls, "tls", "none", "none, starttls or implicit; any certificate will do")
	p.BoolVar(&o.NoResumption, "no-resumption", false, "a full TLS handshake for each connection")
	p.StringVar(&o.Auth.Mechanism, "auth", "", "PLAIN, LOGIN or SCRAM-SHA-256; the password comes from the environment variable POSTBENCH_PASSWORD")
	p.StringVar(&o.Auth.User, "auth-user", "", "user name; %d in it is a number below --auth-users")
	p.IntVar(&o.Auth.Users, "auth-users", 1, "user names")
	p.IntVar(&o.Tries, "tries", 1, "how often a message is offered that got a 4xx")
	p.Uint64Var(&o.Seed, "seed", 1, "of everything random")
	p.StringVar(&f.hlog, "hlog", "", "write the histograms of each second to this file")
	p.BoolVar(&o.IOwnThisNetwork, "i-own-this-network", false, "allow a server that is neither on loopback nor in a private network")
	p.StringVar(&f.size, "size", "4096", "bytes of a message: 4096, a mix as 4096:80,65536:20, lognormal:median=12k,p99=2M, histogram:FILE, corpus:DIR")
	p.StringVar(&f.rcpts, "rcpts", "1", "recipients of a message, or zipf:n=500,s=1.1")
	p.StringVar(&f.domains, "domains", "sink.invalid", "domains of the recipients in turn, or uniform:n=1000, zipf:n=1000,s=1.0, weights:FILE")
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

func runLoad(c *cobra.Command, o load.Options, f loadFlags) (err error) {
	o.Strict = f.strict
	if f.fresh {
		o.PerConnection = 1
	}
	if o.Messages == 0 && o.Duration == 0 {
		o.Messages = 100_000
	}
	if err := f.models(&o); err != nil {
		return err
	}
	if o.Auth.Mechanism != "" {
		o.Auth.Password = os.Getenv("POSTBENCH_PASSWORD")
	}
	if f.hlog != "" {
		file, err := os.Create(f.hlog)
		if err != nil {
			return failure{err}
		}
		defer func() {
			if cerr := file.Close(); err == nil && cerr != nil {
				err = failure{cerr}
			}
		}()
		o.HLog = file
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

// models reads the flags that have a language of their own.
func (f *loadFlags) models(o *load.Options) error {
	wrap := func(flag string, err error) error {
		if err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
		return nil
	}
	var errs [7]error
	o.Pace, errs[0] = load.ParsePace(f.pace)
	o.Sizes, errs[1] = load.ParseSizes(f.size)
	o.Shape, errs[2] = load.ParseShape(f.shape)
	o.Recipients, errs[3] = load.ParseRecipients(f.rcpts)
	o.Domains, errs[4] = load.ParseDomains(f.domains)
	o.Sources, errs[5] = bench.ParseSources(f.sources)
	o.TLS, errs[6] = load.ParseTLS(f.tls)
	for i, flag := range []string{"rate", "size", "shape", "rcpts", "domains", "sources", "tls"} {
		errs[i] = wrap(flag, errs[i])
	}
	return errors.Join(errs[:]...)
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
	q := func(p float64) int64 { return r.Response.ValueAtQuantile(p) }
	if asJSON {
		return writeJSON(w, struct {
			load.Counts
			Seconds, Rate, CPUMicros float64
			P50, P90, P99, P999, Max int64 // microseconds
		}{r.Counts, r.Elapsed.Seconds(), r.Rate(), cpu, q(50), q(90), q(99), q(99.9), r.Response.Max()})
	}
	_, err := fmt.Fprintf(w, "accepted %d refused %d unknown %d unsent %d; recipients accepted %d refused %d unknown %d unsent %d\n"+
		"%.2f s, %.0f/s, %d connections, %d failures; latency us p50 %d p90 %d p99 %d p99.9 %d max %d; missed %d; own CPU %.1f us/message\n",
		r.Accepted, r.Refused, r.Unknown, r.Unsent, r.AcceptedDuties, r.RefusedDuties, r.UnknownDuties, r.UnsentDuties,
		r.Elapsed.Seconds(), r.Rate(), r.Connections, r.Failures, q(50), q(90), q(99), q(99.9), r.Response.Max(), r.Missed, cpu)
	return err
}

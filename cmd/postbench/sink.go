package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench/sink"
)

type sinkFlags struct {
	listen, script  string
	deferred, fails string
	domainRule      bool
	ledger, json    bool
}

func sinkCommand() *cobra.Command {
	var o sink.Options
	var f sinkFlags
	c := &cobra.Command{
		Use:   "sink --listen HOST:PORT",
		Short: "receive messages and count them",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runSink(c, o, f) },
	}
	p := c.Flags()
	p.StringVar(&f.listen, "listen", "127.0.0.1:2526", "HOST:PORT or unix:PATH")
	p.BoolVar(&o.LMTP, "lmtp", false, "speak LMTP")
	p.BoolVar(&o.NoPipelining, "no-pipelining", false, "do not offer PIPELINING")
	p.BoolVar(&o.NoChunking, "no-chunking", false, "do not offer CHUNKING")
	p.StringVar(&f.script, "script", "", "file of rules: STAGE DOMAIN SHARE ACTION")
	p.StringVar(&f.deferred, "defer", "", "share of recipients answered 451, such as 5%")
	p.StringVar(&f.fails, "reject", "", "share of recipients answered 550")
	p.BoolVar(&f.domainRule, "domain-rule", false, "let the first label of the domain decide: defer, reject, enddefer, endreject, drop, slow")
	p.BoolVar(&f.ledger, "ledger", false, "count every duty and verify every body")
	p.BoolVar(&f.json, "json", false, "the summary as JSON")
	return c
}

func runSink(c *cobra.Command, o sink.Options, f sinkFlags) error {
	rules, err := sinkRules(f)
	if err != nil {
		return err
	}
	if o.Script, err = sink.NewScript(rules...); err != nil {
		return err
	}
	if f.ledger {
		o.Ledger, o.Verify = sink.NewLedger(), true
	}
	network, address := "tcp", f.listen
	if p, ok := strings.CutPrefix(f.listen, "unix:"); ok {
		network, address = "unix", p
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return failure{err}
	}
	s := sink.New(o)
	used := newCost()
	fmt.Fprintln(c.ErrOrStderr(), "listening on", l.Addr())
	watch, cancel := context.WithCancel(c.Context())
	var wg sync.WaitGroup
	wg.Go(func() { watchSink(watch, c.ErrOrStderr(), s) })
	err = s.Serve(c.Context(), l)
	cancel()
	wg.Wait()
	if perr := printSink(c.OutOrStdout(), s, o.Ledger, used, f.json); err == nil {
		err = perr
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// sinkRules gathers the script from the flags; the file's rules come first.
func sinkRules(f sinkFlags) (rules []sink.Rule, err error) {
	if f.script != "" {
		file, err := os.Open(f.script)
		if err != nil {
			return nil, failure{err}
		}
		rules, err = sink.ParseRules(file)
		if cerr := file.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.script, err)
		}
	}
	if f.domainRule {
		rules = append(rules, sink.DomainRules()...)
	}
	for _, r := range []struct{ flag, share, reply string }{
		{"--reject", f.fails, "550 5.1.1 no such user here"},
		{"--defer", f.deferred, "451 4.2.1 try again later"},
	} {
		if r.share == "" {
			continue
		}
		p, err := strconv.ParseFloat(strings.TrimSuffix(r.share, "%"), 64)
		if err != nil || !(p > 0 && p <= 100) {
			return nil, fmt.Errorf("%s: %q is no share above 0%% and up to 100%%", r.flag, r.share)
		}
		rules = append(rules, sink.Rule{At: sink.AtRcpt, Percent: p, Reply: r.reply})
	}
	return rules, nil
}

// watchSink writes a line for each second in which something came.
func watchSink(ctx context.Context, w io.Writer, s *sink.Server) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var last sink.Counts
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			n := s.Counts()
			if n.Messages != last.Messages || n.Open != last.Open {
				fmt.Fprintf(w, "messages %d (%d/s) recipients %d deferred %d refused %d open %d\n",
					n.Messages, n.Messages-last.Messages, n.Recipients, n.Deferred, n.Refused, n.Open)
			}
			last = n
		}
	}
}

func printSink(w io.Writer, s *sink.Server, l *sink.Ledger, used cost, asJSON bool) error {
	n := s.Counts()
	cpu := used.perMessage(n.Messages)
	var totals sink.LedgerTotals
	if l != nil {
		totals = l.Totals()
	}
	if asJSON {
		return writeJSON(w, struct {
			sink.Counts
			sink.LedgerTotals
			CPUMicros float64
		}{n, totals, cpu})
	}
	if _, err := fmt.Fprintf(w, "messages %d recipients %d bytes %d deferred %d refused %d dropped %d malformed %d connections %d; own CPU %.1f us/message\n",
		n.Messages, n.Recipients, n.Bytes, n.Deferred, n.Refused, n.Dropped, n.Malformed, n.Connections, cpu); err != nil {
		return err
	}
	if l == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "duties %d duplicates %d strange %d; bad hash %d misdirected %d\n",
		totals.Duties, totals.Duplicates, totals.Strange, n.BadHash, n.Misdirected)
	return err
}

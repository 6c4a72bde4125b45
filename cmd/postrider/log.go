package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postrider/internal/admin"
	"postrider/internal/admin/cli"
	"postrider/internal/config"
	"postrider/internal/mail"
	"postrider/internal/maillog"
)

// errNoLog is for a log that goes to the daemon's standard output.
var errNoLog = errors.New(`[log] events is "-": the log is wherever the daemon's standard output goes`)

func logCommand(load func() (*config.Config, error)) *cobra.Command {
	a := &asker{load: load}
	log := &cobra.Command{Use: "log", Short: "Read the event log", Args: cobra.NoArgs, RunE: needVerb}
	a.flags(log)
	log.AddCommand(logTail(a), logLife(a), logFind(a))
	return log
}

// path is where the event log is.
func (a *asker) path() (string, error) {
	cfg, err := a.load()
	if err != nil {
		return "", err
	}
	if cfg.Log.Events == "-" {
		return "", failed(errNoLog)
	}
	return cfg.Log.Events, nil
}

func logTail(a *asker) *cobra.Command {
	var (
		f     eventFlags
		lines int
	)
	cmd := &cobra.Command{
		Use: "tail", Short: "The last events, and every new one as it comes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := a.path()
			if err != nil {
				return err
			}
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			p := &cli.Printer{W: cmd.OutOrStdout(), JSON: a.json, Color: terminal(os.Stdout), Now: time.Now()}
			var failure error
			err = maillog.Follow(ctx, path, lines, func(line []byte) bool {
				e, err := cli.ParseEvent(line)
				if err == nil && filter.Match(e, line) { // a torn line is none yet
					failure = p.Event(e, line)
				}
				return failure == nil
			})
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			return ended(errors.Join(err, failure))
		},
	}
	f.flags(cmd)
	cmd.Flags().IntVarP(&lines, "lines", "n", 10, "begin with the last `N` lines")
	return cmd
}

func logFind(a *asker) *cobra.Command {
	var (
		f     eventFlags
		limit int
	)
	cmd := &cobra.Command{
		Use: "find", Short: "Events that match, rotated files included, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			found := 0
			return a.scan(cmd, func(p *cli.Printer, e *cli.Event, line []byte) (bool, error) {
				if !filter.Match(e, line) {
					return true, nil
				}
				found++
				return limit == 0 || found < limit, p.Event(e, line)
			}, func(*cli.Printer) error {
				if found == 0 {
					return admin.ErrNotFound
				}
				return nil
			})
		},
	}
	f.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "at most `N` events")
	return cmd
}

func logLife(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "life ID", Short: "Everything that happened to one message", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := mail.ParseID(args[0])
			if err != nil {
				return &exitError{exitUsage, fmt.Errorf("%q: %w", args[0], err)}
			}
			text := id.AppendText(nil)
			var life cli.Life
			return a.scan(cmd, func(_ *cli.Printer, e *cli.Event, line []byte) (bool, error) {
				if bytes.Contains(line, text) && (e.ID == string(text) || e.Of == string(text)) {
					life.Add(e, line)
				}
				return true, nil
			}, func(p *cli.Printer) error {
				if life.Empty() {
					return admin.ErrNotFound
				}
				return p.Life(&life)
			})
		},
	}
}

// scan reads the whole log and hands each event to yield, then calls finally.
func (a *asker) scan(cmd *cobra.Command, yield func(*cli.Printer, *cli.Event, []byte) (bool, error), finally func(*cli.Printer) error) error {
	path, err := a.path()
	if err != nil {
		return err
	}
	return ended(a.print(cmd, func(p *cli.Printer) error {
		var failure error
		err := maillog.Scan(cmd.Context(), path, func(line []byte) bool {
			e, err := cli.ParseEvent(line)
			if err != nil {
				return true // the torn end of a file that a crash cut
			}
			var more bool
			more, failure = yield(p, e, line)
			return more && failure == nil
		})
		if err := errors.Join(err, failure); err != nil {
			return err
		}
		return finally(p)
	}))
}

// eventFlags are the selector flags of the log's commands.
type eventFlags struct {
	f            cli.EventFilter
	since, until string
}

func (e *eventFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.f.Event, "event", "", "`NAME` such as delivered or rejected")
	f.StringVar(&e.f.ID, "id", "", "message `ID`")
	f.StringVar(&e.f.Session, "sess", "", "`ID` of a session")
	f.StringVar(&e.f.From, "from", "", "sender `ADDRESS`")
	f.StringVar(&e.f.FromDomain, "from-domain", "", "`DOMAIN` of the sender")
	f.StringVar(&e.f.To, "to", "", "recipient `ADDRESS`")
	f.StringVar(&e.f.ToDomain, "to-domain", "", "`DOMAIN` of the recipient")
	f.StringVar(&e.f.Client, "client", "", "`ADDRESS` of the client")
	f.StringVar(&e.f.Site, "site", "", "next `HOP`")
	f.IntVar(&e.f.Code, "code", 0, "`CODE` of the reply")
	f.StringVar(&e.f.Enhanced, "enhanced", "", "enhanced `CODE`, such as 4.7.*")
	f.StringVar(&e.f.Text, "text", "", "`TEXT` anywhere in the line")
	f.StringVar(&e.since, "since", "", "`TIME` (RFC 3339) or how long ago, such as 2h")
	f.StringVar(&e.until, "until", "", "`TIME` (RFC 3339) or how long ago")
}

func (e *eventFlags) filter(now time.Time) (*cli.EventFilter, error) {
	f := e.f
	for _, flag := range []struct {
		name, text string
		at         *time.Time
	}{{"--since", e.since, &f.Since}, {"--until", e.until, &f.Until}} {
		if flag.text == "" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, flag.text); err == nil {
			*flag.at = t
			continue
		}
		d, err := config.ParseDuration(flag.text)
		if err != nil {
			return nil, &exitError{exitUsage, fmt.Errorf("%s %q: want a time such as 2026-01-02T15:04:05Z or a duration such as 2h", flag.name, flag.text)}
		}
		*flag.at = now.Add(-d)
	}
	return &f, nil
}

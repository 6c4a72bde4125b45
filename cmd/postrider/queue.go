package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/internal/admin"
	"postrider/internal/admin/cli"
	"postrider/internal/config"
	"postrider/internal/mail"
)

// asker is what every operator's command needs: the daemon and a place to write.
type asker struct {
	load func() (*config.Config, error)
	json bool
}

func (a *asker) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().BoolVar(&a.json, "json", false, "one JSON object a line")
}

func (a *asker) client() (*admin.Client, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	return admin.NewClient(cfg.Admin.Socket), nil
}

// print writes through a buffer, which is flushed however f ends.
func (a *asker) print(cmd *cobra.Command, f func(*cli.Printer) error) error {
	w := bufio.NewWriter(cmd.OutOrStdout())
	p := &cli.Printer{W: w, JSON: a.json, Color: terminal(os.Stdout), Now: time.Now()}
	err := f(p)
	return errors.Join(err, w.Flush())
}

// terminal reports a person who reads along.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// ended turns an error of a command into its exit code; one that has a code keeps
// it.
func ended(err error) error {
	var coded *exitError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &exitError{cli.ExitCode(err), err}
}

func queueCommand(load func() (*config.Config, error)) *cobra.Command {
	a := &asker{load: load}
	queue := &cobra.Command{Use: "queue", Short: "Look at the queue, and act on it", Args: cobra.NoArgs, RunE: needVerb}
	a.flags(queue)
	queue.AddCommand(queueList(a), queueSummary(a), queueShow(a), queueCat(a), queueConfirmClock(a))
	for _, action := range admin.Actions() {
		queue.AddCommand(queueAction(a, action))
	}
	return queue
}

func needVerb(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	}
	_ = cmd.Help() // it writes to the standard output, which may be gone
	return &exitError{exitUsage, nil}
}

func queueList(a *asker) *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use: "list", Short: "List what waits, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ended(a.each(cmd, &s, func(p *cli.Printer, m *admin.Message) error { return p.Message(m) }, nil))
		},
	}
	s.flags(cmd)
	return cmd
}

// each asks for what s selects and hands it to f one by one; finally, when there
// is one, runs after the last. Nothing selected is an error.
func (a *asker) each(cmd *cobra.Command, s *selection, f func(*cli.Printer, *admin.Message) error, finally func(*cli.Printer) error) error {
	sel, err := s.selector()
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	return a.print(cmd, func(p *cli.Printer) error {
		found := false
		var failure error
		err := client.Queue(cmd.Context(), sel, func(m *admin.Message) bool {
			found = true
			failure = f(p, m)
			return failure == nil
		})
		if err := errors.Join(err, failure); err != nil {
			return err
		}
		if !found && !sel.All() {
			return admin.ErrNotFound
		}
		if finally != nil {
			return finally(p)
		}
		return nil
	})
}

func queueSummary(a *asker) *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use: "summary", Short: "How every site stands; with a selector, what of that waits for which site", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sel, err := s.selector(); err == nil && sel.All() && sel.Limit == 0 && sel.After.IsZero() {
				return a.sites(cmd)
			}
			var sum cli.Summary
			return ended(a.each(cmd, &s,
				func(p *cli.Printer, m *admin.Message) error { sum.Add(m, p.Now); return nil },
				func(p *cli.Printer) error { return p.Summary(&sum) }))
		},
	}
	s.flags(cmd)
	return cmd
}

// sites shows what the daemon keeps counted, so that it costs the same however
// much waits.
func (a *asker) sites(cmd *cobra.Command) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), admin.Timeout)
	defer cancel()
	status, err := client.Status(ctx)
	if err != nil {
		return ended(err)
	}
	return ended(a.print(cmd, func(p *cli.Printer) error { return p.Sites(status) }))
}

func queueShow(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "One message: its envelope and where each recipient stands", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, client, err := a.one(args[0])
			if err != nil {
				return err
			}
			m, err := client.Message(cmd.Context(), id)
			if err != nil {
				return ended(err)
			}
			return ended(a.print(cmd, func(p *cli.Printer) error { return p.Show(m) }))
		},
	}
}

func queueCat(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "cat ID", Short: "The text of one message, as it came", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, client, err := a.one(args[0])
			if err != nil {
				return err
			}
			return ended(client.Raw(cmd.Context(), id, cmd.OutOrStdout()))
		},
	}
}

func (a *asker) one(text string) (mail.ID, *admin.Client, error) {
	id, err := mail.ParseID(text)
	if err != nil {
		return id, nil, &exitError{exitUsage, fmt.Errorf("%q: %w", text, err)}
	}
	client, err := a.client()
	return id, client, err
}

func queueConfirmClock(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "confirm-clock", Short: "Say that a clock that has leapt is right, so that old mail expires by it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			return ended(client.ConfirmClock(cmd.Context()))
		},
	}
}

// selection is the selector flags of a command.
type selection struct {
	ids          []string
	after        string
	older, newer string
	size         string
	s            admin.Selector
}

func (s *selection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&s.ids, "id", nil, "message `ID`; may be repeated")
	f.StringVar(&s.after, "after", "", "only messages after this `ID`: the place to go on from")
	f.StringVar(&s.s.From, "from", "", "sender `ADDRESS`; <> is the null sender")
	f.StringVar(&s.s.FromDomain, "from-domain", "", "`DOMAIN` of the sender")
	f.StringVar(&s.s.To, "to", "", "recipient `ADDRESS`")
	f.StringVar(&s.s.ToDomain, "to-domain", "", "`DOMAIN` of the recipient")
	f.StringVar(&s.s.Lane, "lane", "", "next `HOP`, as a route writes it")
	f.StringVar(&s.s.State, "state", "", strings.Join(admin.States(), ", "))
	f.IntVar(&s.s.Code, "code", 0, "`CODE` of the last reply")
	f.StringVar(&s.s.Enhanced, "enhanced", "", "enhanced `CODE` of the last reply, such as 4.7.*")
	f.StringVar(&s.older, "older", "", "accepted more than `DURATION` ago, such as 2h or 3d")
	f.StringVar(&s.newer, "newer", "", "accepted less than `DURATION` ago")
	f.IntVar(&s.s.MinAttempts, "attempts", 0, "at least `N` attempts")
	f.StringVar(&s.size, "size", "", "at least `SIZE`, such as 1MB")
	f.IntVar(&s.s.Limit, "limit", 0, "at most `N` messages")
}

func (s *selection) selector() (admin.Selector, error) {
	sel := s.s
	fail := func(flag, text string, err error) error {
		return &exitError{exitUsage, fmt.Errorf("%s %q: %w", flag, text, err)}
	}
	for _, text := range s.ids {
		id, err := mail.ParseID(text)
		if err != nil {
			return sel, fail("id", text, err)
		}
		sel.IDs = append(sel.IDs, id)
	}
	if s.after != "" {
		id, err := mail.ParseID(s.after)
		if err != nil {
			return sel, fail("--after", s.after, err)
		}
		sel.After = id
	}
	for flag, text := range map[string]string{"--older": s.older, "--newer": s.newer} {
		if text == "" {
			continue
		}
		d, err := config.ParseDuration(text)
		if err != nil {
			return sel, fail(flag, text, err)
		}
		if flag == "--older" {
			sel.OlderThan = d
		} else {
			sel.NewerThan = d
		}
	}
	if s.size != "" {
		n, err := config.ParseSize(s.size)
		if err != nil {
			return sel, fail("--size", s.size, err)
		}
		sel.MinSize = n
	}
	return sel, nil
}

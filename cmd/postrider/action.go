package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/internal/admin"
	"postrider/internal/admin/cli"
)

// act is a command that does something to what waits.
type act struct {
	*asker
	action        admin.Action
	s             selection
	reason        string
	all, yes, dry bool
}

func queueAction(a *asker, action admin.Action) *cobra.Command {
	c := &act{asker: a, action: action}
	cmd := &cobra.Command{
		Use: string(action) + " [ID ...]", Short: actionShort(action),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.s.ids = append(c.s.ids, args...)
			return c.run(cmd)
		},
	}
	c.s.flags(cmd)
	needed := ""
	if action.NeedsReason() {
		needed = " (required)"
	}
	f := cmd.Flags()
	f.StringVar(&c.reason, "reason", "", "why; it goes into the event log"+needed)
	f.BoolVar(&c.all, "all", false, "allow a "+string(action)+" that nothing restricts")
	f.BoolVar(&c.yes, "yes", false, "do not ask")
	f.BoolVar(&c.dry, "dry-run", false, "only count")
	return cmd
}

func actionShort(a admin.Action) string {
	switch a {
	case admin.ActionRetry:
		return "Let recipients be tried now that wait for their next attempt or for DNS"
	case admin.ActionHold:
		return "Keep recipients from being tried, until they are released"
	case admin.ActionRelease:
		return "Let recipients go on that are held or quarantined"
	case admin.ActionBounce:
		return "Give recipients up and tell their senders"
	}
	return "End recipients without delivering them or telling anybody"
}

func (c *act) run(cmd *cobra.Command) error {
	sel, err := c.s.selector()
	if err != nil {
		return err
	}
	switch {
	case c.reason == "" && !c.dry && c.action.NeedsReason():
		return &exitError{exitUsage, errors.New("--reason is needed: it is what the event log will say")}
	case sel.All() && !c.all:
		return &exitError{exitUsage, fmt.Errorf("nothing restricts this %s: name messages or add --all", c.action)}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	preview := &cli.Preview{Action: c.action, DryRun: c.dry}
	now := time.Now()
	err = client.Queue(cmd.Context(), sel, func(m *admin.Message) bool { preview.Add(m, now); return true })
	if err != nil {
		return ended(err)
	}
	if preview.Matched == 0 {
		return ended(admin.ErrNotFound)
	}
	if c.dry {
		return ended(c.print(cmd, func(p *cli.Printer) error { return p.Preview(preview) }))
	}
	if err := announce(cmd, preview); err != nil {
		return ended(err)
	}
	if !c.yes && !confirmed(cmd) {
		return &exitError{exitUsage, errors.New("nothing was done; --yes does it without asking")}
	}
	result, err := client.Act(cmd.Context(), c.action, sel, c.all, actor(), c.reason)
	if err != nil {
		return ended(err)
	}
	if err := c.print(cmd, func(p *cli.Printer) error { return p.Acted(c.action, result) }); err != nil {
		return ended(err)
	}
	if code := cli.ActionExitCode(result); code != 0 {
		return &exitError{code, nil}
	}
	return nil
}

// announce tells a person what is about to be done, beside what a program reads.
func announce(cmd *cobra.Command, v *cli.Preview) error {
	w := bufio.NewWriter(cmd.ErrOrStderr())
	p := &cli.Printer{W: w, Now: time.Now()}
	return errors.Join(p.Preview(v), w.Flush())
}

// confirmed asks a person; without one nothing is confirmed.
func confirmed(cmd *cobra.Command) bool {
	if !terminal(os.Stdin) {
		return false
	}
	fmt.Fprint(cmd.ErrOrStderr(), "go on? [y/N] ")
	var answer string
	if _, err := fmt.Fscanln(cmd.InOrStdin(), &answer); err != nil {
		return false
	}
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}

// actor is who is at the keyboard, for the event log.
func actor() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

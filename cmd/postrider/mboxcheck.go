package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/delivery/transfer/remote"
	"postrider/internal/admin/cli"
	"postrider/internal/app"
)

func mboxFsck(a *asker) *cobra.Command {
	var texts bool
	cmd := &cobra.Command{
		Use: "fsck", Short: "Look whether the mailboxes are as they should be, while everything goes on", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.store(cmd.Context(), false, func(s transfer.Store) error {
				checker, ok := s.(remote.Checker)
				if !ok {
					return errors.New("this store cannot be checked")
				}
				return a.fsck(cmd, checker, texts)
			})
		},
	}
	cmd.Flags().BoolVar(&texts, "texts", false, "read all texts, and compare their checksums")
	return cmd
}

func (a *asker) fsck(cmd *cobra.Command, checker remote.Checker, texts bool) error {
	found := 0
	err := a.print(cmd, func(p *cli.Printer) error {
		var lost error
		checked, err := checker.Fsck(cmd.Context(), texts, func(f mailbox.Finding) {
			found++
			lost = errors.Join(lost, p.Finding(findingOf(f)))
		})
		if err := errors.Join(err, lost); err != nil {
			return err
		}
		return p.Checked(&cli.Checked{
			Accounts: checked.Accounts, Mailboxes: checked.Mailboxes, Messages: checked.Messages, Texts: checked.Texts,
			TextBytes: checked.TextBytes, Findings: found,
		})
	})
	if err == nil && found > 0 {
		return &exitError{exitFailed, nil} // all was said
	}
	return err
}

func findingOf(f mailbox.Finding) *cli.Finding {
	return &cli.Finding{Account: f.Account, Mailbox: f.Mailbox, UID: f.UID, Blob: f.Blob, What: f.What}
}

func mboxRebuild(a *asker) *cobra.Command {
	var salvage bool
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Make the index of the mailboxes anew from their log; the daemon must be stopped", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			r, err := app.RebuildMailboxes(cmd.Context(), cfg, salvage)
			if errors.Is(err, mailbox.ErrLocked) {
				err = fmt.Errorf("%w: stop the daemon first", err)
			}
			if err != nil {
				return mboxEnded(err)
			}
			err = a.print(cmd, func(p *cli.Printer) error {
				for _, f := range r.Lost {
					if err := p.Finding(findingOf(f)); err != nil {
						return err
					}
				}
				return p.Rebuilt(&cli.Rebuilt{Records: r.Records, Accounts: r.Accounts, Messages: r.Messages, Gaps: len(r.Gaps), Lost: len(r.Lost), Complete: r.Complete()})
			})
			if err == nil && !r.Complete() {
				return &exitError{exitPartly, nil} // all was said
			}
			return ended(err)
		},
	}
	cmd.Flags().BoolVar(&salvage, "salvage", false, "read a damaged log as far as it goes")
	return cmd
}

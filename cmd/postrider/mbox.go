package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/delivery/transfer/remote"
	"postrider/internal/admin"
	"postrider/internal/admin/cli"
	"postrider/internal/app"
	"postrider/internal/config"
)

func mboxCommand(load func() (*config.Config, error)) *cobra.Command {
	a := &asker{load: load}
	mbox := &cobra.Command{Use: "mbox", Short: "Look at mailboxes, and move mail in and out", Args: cobra.NoArgs, RunE: needVerb}
	a.flags(mbox)
	mbox.AddCommand(mboxList(a), mboxStat(a), mboxImport(a), mboxExport(a), mboxFsck(a), mboxRebuild(a))
	return mbox
}

// store calls f with the mailboxes: those of the running daemon, else the store on
// the disk, which is then ours alone.
func (a *asker) store(ctx context.Context, create bool, f func(transfer.Store) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	client := &remote.Client{Do: admin.NewClient(cfg.Admin.Socket).Do}
	if _, err := client.Accounts(ctx); err == nil {
		return mboxEnded(f(client))
	} else if !errors.Is(err, admin.ErrNotRunning) {
		return mboxEnded(err)
	}
	local, done, err := app.OpenMailboxes(cfg, create)
	if errors.Is(err, mailbox.ErrLocked) {
		err = fmt.Errorf("%w, and nobody answers at %s", err, cfg.Admin.Socket)
	}
	if err != nil {
		return mboxEnded(err)
	}
	err = f(local)
	return mboxEnded(errors.Join(err, done()))
}

// account is the name of the account that an operator means.
func (a *asker) account(arg string) (string, error) {
	cfg, err := a.load()
	if err != nil {
		return "", err
	}
	return name(cfg, arg)
}

// mboxEnded gives an error its exit code.
func mboxEnded(err error) error {
	if errors.Is(err, mailbox.ErrNoAccount) || errors.Is(err, app.ErrNoMailboxes) {
		return &exitError{cli.ExitNothing, err}
	}
	return ended(err)
}

func mboxList(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "list [ACCOUNT]", Short: "List the accounts, or the mailboxes of one", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.store(cmd.Context(), false, func(s transfer.Store) error {
				if len(args) == 1 {
					return a.mailboxes(cmd, s, args[0], false)
				}
				names, err := s.Accounts(cmd.Context())
				if err != nil {
					return err
				}
				return a.print(cmd, func(p *cli.Printer) error {
					for _, name := range names {
						if err := p.Account(name); err != nil {
							return err
						}
					}
					return nil
				})
			})
		},
	}
}

func mboxStat(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "stat ACCOUNT", Short: "The mailboxes of an account with all that is known of each", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.store(cmd.Context(), false, func(s transfer.Store) error { return a.mailboxes(cmd, s, args[0], true) })
		},
	}
}

func (a *asker) mailboxes(cmd *cobra.Command, s transfer.Store, arg string, detail bool) error {
	account, err := a.account(arg)
	if err != nil {
		return err
	}
	folders, err := s.Folders(cmd.Context(), account)
	if err != nil {
		return err
	}
	boxes := make([]cli.Mailbox, len(folders))
	for i := range folders {
		f := &folders[i]
		boxes[i] = cli.Mailbox{
			Account: account, Name: f.Name, Messages: f.Messages, Unseen: f.Unseen, Bytes: f.Bytes, UIDValidity: f.UIDValidity,
			UIDNext: f.UIDNext, Subscribed: f.Subscribed, Use: useWords(f.Use), Keywords: f.Keywords,
		}
	}
	return a.print(cmd, func(p *cli.Printer) error { return p.Mailboxes(boxes, detail) })
}

// useWords returns the special uses as IMAP names them.
func useWords(use mailbox.Attributes) (words []string) {
	for i, word := range [...]string{`\All`, `\Archive`, `\Drafts`, `\Flagged`, `\Junk`, `\Sent`, `\Trash`, `\Important`} {
		if use>>i&1 != 0 {
			words = append(words, word)
		}
	}
	return words
}

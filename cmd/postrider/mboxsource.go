package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"postrider/delivery/transfer"
	"postrider/delivery/transfer/maildir"
)

// sourceFlags say how a source is read.
type sourceFlags struct {
	uidl string
}

func (s *sourceFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.uidl, "uidl", "%08Xu%08Xv", "pop3_uidl_format of the Dovecot that a Maildir comes from; empty: ids for POP3 are made anew")
}

// open opens the source that the command line names.
func (s *sourceFlags) open(_ context.Context, name string) (transfer.Source, func() error, error) {
	r, err := maildir.Open(name, maildir.Options{UIDL: s.uidl, NoUIDL: s.uidl == ""})
	if err != nil {
		return nil, nil, errors.Join(err)
	}
	return r, r.Close, nil
}

package main

import (
	"github.com/spf13/cobra"

	"postrider/bench/target"
)

// referenceCommand is the relay of the target gosmtp, in a process of its own.
func referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reference", Short: "the go-smtp relay that the target gosmtp starts",
		Hidden: true, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if err := target.RunReference(c.Context(), args, c.InOrStdin(), c.OutOrStdout()); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}

package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"postrider/internal/demo"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show the whole way on loopback: generator, relay, a world of 1,000 domains, and the ledger",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := demo.Run(ctx, demo.Options{Out: os.Stdout, Terminal: terminal(os.Stdout)}); err != nil {
				return failed(err)
			}
			return nil
		},
	}
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"postrider/internal/admin"
	"postrider/internal/admin/cli"
	"postrider/internal/config"
)

func explainCommand(load func() (*config.Config, error)) *cobra.Command {
	a := &asker{load: load}
	var from string
	cmd := &cobra.Command{
		Use:   "explain ADDRESS",
		Short: "What would become of mail for an address: route, site, hosts, TLS, limits, and what waits there",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), admin.Timeout)
			defer cancel()
			e, err := client.Explain(ctx, args[0], from)
			if err != nil {
				return ended(err)
			}
			return ended(a.print(cmd, func(p *cli.Printer) error { return p.Explanation(e) }))
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&from, "from", "", "sender `ADDRESS`, for routes that go by it")
	return cmd
}

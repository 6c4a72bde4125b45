package main

import (
	"context"

	"github.com/spf13/cobra"

	"postrider/internal/admin"
	"postrider/internal/admin/cli"
	"postrider/internal/config"
)

func statusCommand(load func() (*config.Config, error)) *cobra.Command {
	a := &asker{load: load}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "One screen; exit codes as a monitoring plug-in has them: 0 ok, 1 warning, 2 critical",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return &exitError{int(admin.LevelCritical), err}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), admin.Timeout)
			defer cancel()
			status, err := client.Status(ctx)
			if err != nil { // a daemon that does not answer is the worst state of all
				return &exitError{int(admin.LevelCritical), err}
			}
			code := 0
			err = a.print(cmd, func(p *cli.Printer) (err error) {
				code, err = p.Status(status)
				return err
			})
			if err != nil {
				return failed(err)
			}
			if code != 0 {
				return &exitError{code, nil}
			}
			return nil
		},
	}
	a.flags(cmd)
	return cmd
}

package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"postrider/internal/admin"
	"postrider/internal/backup"
	"postrider/internal/config"
)

func backupCommand(load func() (*config.Config, error)) *cobra.Command {
	a := &asker{load: load}
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy everything to the new or empty folder DIR while mail goes on: queue, mailboxes, configuration, users, secrets",
		Long: `Copy everything to the new or empty folder DIR while mail goes on: the queue, the
mailboxes, what else is in the data folder but the event log, the configuration and
the files that it names. Files that are written once are linked, so a folder on the
data folder's file system takes little room at first; copy it elsewhere to keep it
safe. A backup is whole when DIR holds list.json.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return failed(err)
			}
			client, err := a.client()
			if err != nil {
				return failed(err)
			}
			err = client.Backup(cmd.Context(), dir)
			if errors.Is(err, admin.ErrNotRunning) {
				err = fmt.Errorf("%w; while it is stopped, copy its data folder and its configuration", err)
			}
			if err != nil {
				return failed(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: whole\n", dir)
			return nil
		},
	}
	a.flags(cmd)
	return cmd
}

func restoreCommand() *cobra.Command {
	var o backup.RestoreOptions
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Put a backup back: the data folder, which must be empty or missing, the configuration and the files that it names",
		Long: `Put a backup back while no daemon runs: the data folder, which must be empty or
missing, the configuration and the files that it names, all where they were. At the
next start all that waits in the queue is held until it is released, since it may
have been delivered after the backup, and every mailbox has another UIDVALIDITY.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := backup.Restore(cmd.Context(), args[0], o)
			if err != nil {
				return failed(err)
			}
			out := cmd.OutOrStdout()
			for _, path := range r.Files {
				fmt.Fprintln(out, path)
			}
			for _, path := range r.Kept {
				fmt.Fprintf(out, "%s: kept as it was\n", path)
			}
			fmt.Fprintf(out, "%s\nwhat waits is held: postrider queue release --help\n", r.DataDir)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "put the data folder at `PATH`")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "leave files alone that are there with another content")
	return cmd
}

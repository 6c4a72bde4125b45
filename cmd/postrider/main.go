// Command postrider is the mail relay and its operator's command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"postrider/internal/app"
	"postrider/internal/config"
)

// version is set by the linker for releases.
var version = "0.1.0"

// Exit codes; status has its own (0 ok, 1 warning, 2 critical).
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNoMatch  = 3
	exitPartly   = 4
	usageMessage = "see 'postrider help'"
)

// exitError ends the program with a code; err may be nil when all was said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func failed(err error) error { return &exitError{exitFailed, err} }

func main() {
	root := rootCommand()
	err := root.ExecuteContext(context.Background())
	if err == nil {
		os.Exit(exitOK)
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if exit.err != nil {
			fmt.Fprintln(os.Stderr, "postrider:", exit.err)
		}
		os.Exit(exit.code)
	}
	fmt.Fprintf(os.Stderr, "postrider: %v; %s\n", err, usageMessage)
	os.Exit(exitUsage)
}

func rootCommand() *cobra.Command {
	var file string
	root := &cobra.Command{
		Use:           "postrider",
		Short:         "A durable, fast mail relay",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			_ = cmd.Help() // it writes to the standard output, which may be gone
			return &exitError{exitUsage, nil}
		},
	}
	root.PersistentFlags().StringVarP(&file, "config", "c", "", "configuration `FILE` (default: ./postrider.toml, /etc/postrider/postrider.toml, built-in)")
	load := func() (*config.Config, error) { return loadConfig(file) }
	root.AddCommand(
		runCommand(load),
		checkCommand(load),
		demoCommand(),
		queueCommand(load),
		logCommand(load),
		statusCommand(load),
		explainCommand(load),
		dnsCommand(load),
		mboxCommand(load),
		backupCommand(load),
		restoreCommand(),
		userCommand(load),
	)
	return root
}

// loadConfig reads the file that was named, or the first of the usual ones, or
// takes the built-in defaults.
func loadConfig(file string) (*config.Config, error) {
	if file == "" {
		file = config.Find()
	}
	if file == "" {
		return config.Default(), nil
	}
	cfg, err := config.Load(file)
	if err == nil {
		return cfg, nil
	}
	var list config.Errors
	if errors.As(err, &list) {
		fmt.Fprint(os.Stderr, list.Detail())
		return nil, &exitError{exitFailed, nil} // all was said
	}
	return nil, failed(err)
}

func checkCommand(load func() (*config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration and the files it names: every error with file, line and column",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			if err := app.Check(cfg); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return &exitError{exitFailed, nil}
			}
			fmt.Fprint(os.Stderr, cfg.Warnings.Notes())
			name := cfg.Path
			if name == "" {
				name = "built-in defaults"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", name)
			return nil
		},
	}
}

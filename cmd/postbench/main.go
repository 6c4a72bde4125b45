// Command postbench makes mail traffic and receives it, against any mail server.
//
//	postbench load --to 127.0.0.1:2525 --conns 64 --messages 100000
//	postbench sink --listen 127.0.0.1:2526 --ledger
//
// Exit codes: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// failure is an error of the work itself; any other is one of usage.
type failure struct{ error }

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	// The first signal ends the work in order; the second ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := &cobra.Command{
		Use:           "postbench",
		Short:         "make mail traffic and receive it",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return errors.New("which verb? see postbench --help") },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(loadCommand(), sinkCommand())
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var failed failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		fmt.Fprintln(os.Stderr, "postbench:", err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "postbench:", err)
	return 2
}

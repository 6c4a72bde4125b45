// Command postbench measures mail servers, any of them: it makes the load, is the
// receiving world, and accounts for every recipient.
//
//	postbench run steady --sut postrider
//	postbench compare --sut postrider,postfix:isp --scenario steady --runs 6
//	postbench list
//
// docs/postbench.md tells the rest.
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
	"golang.org/x/sys/unix"
)

// failure is an error of the work itself; any other is one of usage.
type failure struct{ error }

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	// The first signal ends the work in order; the second ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	manyFiles()

	root := &cobra.Command{
		Use:           "postbench",
		Short:         "measure mail servers",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return errors.New("which verb? see postbench --help") },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(runCommand(), compareCommand(), listCommand(), gateCommand(), reportCommand(), calibrateCommand(),
		loadCommand(), sinkCommand(), dnsCommand(), referenceCommand())
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

// enoughFiles is for ten thousand idle connections, seen from both their ends, and
// whatever else runs.
const enoughFiles = 65536

// manyFiles raises the limit of open files, which the servers inherit, as far as it
// may. What then does not fit fails with an error of its own.
func manyFiles() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || l.Cur >= enoughFiles {
		return
	}
	want := unix.Rlimit{Cur: enoughFiles, Max: max(l.Max, enoughFiles)}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &want) != nil {
		want = unix.Rlimit{Cur: l.Max, Max: l.Max}
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &want) // best effort
	}
}

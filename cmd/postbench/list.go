package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/bench/result"
)

func listCommand() *cobra.Command {
	var text bool
	c := &cobra.Command{
		Use:   "list [SCENARIO]",
		Short: "show the scenarios, or the text of one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if _, err := bench.Find(args[0], false); err != nil {
					return err
				}
				b, err := bench.Source(args[0])
				if err != nil {
					return err
				}
				_, err = c.OutOrStdout().Write(b)
				return err
			}
			return list(c.Context(), c.OutOrStdout(), text)
		},
	}
	c.Flags().BoolVar(&text, "proves", false, "say what each is good for too")
	return c
}

func list(_ context.Context, w io.Writer, proves bool) error {
	for _, n := range bench.Names() {
		s, err := bench.Find(n, false)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-12s %s\n", n, s.About)
		if proves {
			fmt.Fprintf(w, "%-12s   proves %s\n", "", s.Proves)
		}
	}
	return nil
}

// tool says which program measures.
func tool() result.Tool {
	t := result.Tool{Version: "devel", Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				t.Version = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	if path, err := os.Executable(); err == nil {
		if f, err := os.Open(path); err == nil {
			h := sha256.New()
			if _, err := io.Copy(h, f); err == nil {
				t.Binary = hex.EncodeToString(h.Sum(nil))
			}
			_ = f.Close() // it was read
		}
	}
	return t
}

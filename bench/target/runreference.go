package target

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
)

// RunReference is the program that the target gosmtp starts: it reads the command
// line of a Reference, listens and serves until ctx ends. control and answers are
// its standard input and output.
func RunReference(ctx context.Context, arguments []string, control io.Reader, answers io.Writer) error {
	var o Reference
	var listen string
	f := flag.NewFlagSet("reference", flag.ContinueOnError)
	f.StringVar(&listen, "listen", "127.0.0.1:0", "`ADDRESS` to listen on")
	f.StringVar(&o.NextHop, "next-hop", "", "`ADDRESS` that all mail goes to")
	f.Int64Var(&o.MaxMessage, "max-message", 0, "`BYTES` of a text; 0: any")
	f.BoolVar(&o.Suspended, "suspended", false, "deliver nothing before it is told to")
	f.StringVar(&o.Password, "password", "", "offer AUTH PLAIN with this `PASSWORD` for any user")
	f.DurationVar(&o.Retry, "retry", 0, "`TIME` until a delivery that failed is tried again; 0: 1s")
	if err := f.Parse(arguments); err != nil {
		return err
	}
	if o.NextHop == "" {
		return fmt.Errorf("reference: --next-hop is missing")
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	return o.Serve(ctx, l, control, answers)
}

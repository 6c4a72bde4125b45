package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"postrider/delivery/transfer"
	"postrider/delivery/transfer/maildir"
	"postrider/delivery/transfer/mbox"
	"postrider/internal/admin/cli"
)

// moving is what import and export have in common.
type moving struct {
	asker *asker
	cmd   *cobra.Command
	only  []string
	lines int // written by progress
}

func (m *moving) flags(cmd *cobra.Command) {
	m.cmd = cmd
	cmd.Flags().StringArrayVar(&m.only, "only", nil, "only the mailbox `NAME`; may be repeated")
}

// progress shows a person how far it is.
func (m *moving) progress(p transfer.Progress) {
	if !terminal(os.Stderr) {
		return
	}
	of := ""
	if p.Of > 0 {
		of = fmt.Sprintf(" of %d", p.Of)
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s: %d%s, %s", cli.Harmless(p.Folder), p.Done, of, cli.Bytes(p.Bytes))
	m.lines++
}

// run calls move and writes what it tells.
func (m *moving) run(did string, move func(failed func(string, error)) (transfer.Report, error)) error {
	var moved cli.Moved
	err := m.asker.print(m.cmd, func(p *cli.Printer) error {
		var lost error
		report, err := move(func(name string, why error) { lost = errors.Join(lost, p.NotMoved(name, why)) })
		moved = cli.Moved(report)
		if m.lines > 0 {
			fmt.Fprintln(os.Stderr)
		}
		return errors.Join(err, lost, p.Moved(did, &moved))
	})
	if code := moved.ExitCode(); err == nil && code != cli.ExitOK {
		return &exitError{code, nil} // all was said
	}
	return err
}

func mboxImport(a *asker) *cobra.Command {
	m := moving{asker: a}
	var from sourceFlags
	var into string
	var dry bool
	cmd := &cobra.Command{
		Use:   "import ACCOUNT SOURCE",
		Short: "Move mail into an account: from a Maildir, an mbox file, or another server",
		Long: `Move mail into an account. SOURCE is a Maildir or Maildir++ (with what Dovecot
keeps in it), an mbox file, or imap://USER@HOST, imaps://USER@HOST,
pop3://USER@HOST or pop3s://USER@HOST. Nothing is changed at the source. What
was imported once is not imported again, so that an import that broke off is
repeated, and new mail is fetched by the same command later.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			account, err := a.account(args[0])
			if err != nil {
				return err
			}
			source, done, err := from.open(cmd.Context(), cmd, args[1])
			if err != nil {
				return ended(err)
			}
			err = a.store(cmd.Context(), true, func(s transfer.Store) error {
				return m.run("imported", func(failed func(string, error)) (transfer.Report, error) {
					i := transfer.Import{
						From: source, To: s, Account: account, Into: into, Only: m.only, Dry: dry, Progress: m.progress, Failed: failed,
					}
					return i.Run(cmd.Context())
				})
			})
			if closed := done(); err == nil && closed != nil {
				err = failed(closed)
			}
			return err
		},
	}
	m.flags(cmd)
	from.flags(cmd)
	cmd.Flags().StringVar(&into, "into", "", "put all folders below the mailbox `NAME`")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only tell what there is")
	return cmd
}

// closing is a sink that must be closed.
type closing interface {
	transfer.Sink
	io.Closer
}

func mboxExport(a *asker) *cobra.Command {
	m := moving{asker: a}
	var format string
	var crlf bool
	cmd := &cobra.Command{
		Use:   "export ACCOUNT FOLDER",
		Short: "Copy the mail of an account into files: a Maildir++, or mbox files",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			account, err := a.account(args[0])
			if err != nil {
				return err
			}
			return a.store(cmd.Context(), false, func(s transfer.Store) error {
				if _, err := s.Folders(cmd.Context(), account); err != nil { // before the folder is made
					return err
				}
				sink, err := openSink(format, args[1], crlf)
				if err != nil {
					return err
				}
				return m.run("exported", func(failed func(string, error)) (transfer.Report, error) {
					e := transfer.Export{From: s, Account: account, To: sink, Only: m.only, Progress: m.progress, Failed: failed}
					report, err := e.Run(cmd.Context())
					return report, errors.Join(err, sink.Close())
				})
			})
		},
	}
	m.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "maildir", "maildir or mbox")
	cmd.Flags().BoolVar(&crlf, "crlf", false, "end lines with CRLF; else with LF, as most servers do")
	return cmd
}

func openSink(format, path string, crlf bool) (closing, error) {
	switch format {
	case "maildir":
		return maildir.Create(path, maildir.WriteOptions{CRLF: crlf})
	case "mbox":
		return mbox.Create(path, crlf)
	}
	return nil, &exitError{exitUsage, fmt.Errorf("unknown format %q", format)}
}

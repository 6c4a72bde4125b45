package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/delivery/transfer"
	"postrider/delivery/transfer/maildir"
	"postrider/delivery/transfer/mbox"
	"postrider/delivery/transfer/pull"
)

// sourceFlags say how a source is read.
type sourceFlags struct {
	uidl, mailbox string
	stdin         bool
	file          string
	authority     string
	clear         bool
}

func (s *sourceFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.uidl, "uidl", "%08Xu%08Xv", "pop3_uidl_format of the Dovecot that a Maildir comes from; empty: ids for POP3 are made anew")
	f.StringVar(&s.mailbox, "mailbox", "INBOX", "`NAME` of the mailbox that an mbox file is")
	f.BoolVar(&s.stdin, "password-stdin", false, "take the first line of the standard input as the password at the server")
	f.StringVar(&s.file, "password-file", "", "take the first line of `FILE` as the password at the server")
	f.StringVar(&s.authority, "tls-ca", "", "certificates in `FILE` that the server's must come from; else those of the system")
	f.BoolVar(&s.clear, "allow-clear", false, "send the password in clear to a server without TLS")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "password-file")
}

// open opens the source that the command line names.
func (s *sourceFlags) open(ctx context.Context, cmd *cobra.Command, name string) (transfer.Source, func() error, error) {
	u, err := url.Parse(name)
	if err == nil && u.Host != "" {
		return s.server(ctx, cmd, u)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("%s: no such Maildir or mbox file, and no URL of a server", name)
	case err != nil:
		return nil, nil, err
	case info.IsDir():
		r, err := maildir.Open(name, maildir.Options{UIDL: s.uidl, NoUIDL: s.uidl == ""})
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	}
	r, err := mbox.Open(name, s.mailbox)
	if err != nil {
		return nil, nil, err
	}
	return r, r.Close, nil
}

// server logs in at a server.
func (s *sourceFlags) server(ctx context.Context, cmd *cobra.Command, u *url.URL) (transfer.Source, func() error, error) {
	ports := map[string]string{"imap": "143", "imaps": "993", "pop3": "110", "pop3s": "995"}
	port, ok := ports[u.Scheme]
	if !ok {
		return nil, nil, &exitError{exitUsage, fmt.Errorf("%s: none of imap, imaps, pop3 and pop3s", u.Redacted())}
	}
	if _, given := u.User.Password(); given || u.User.Username() == "" {
		return nil, nil, &exitError{exitUsage, errors.New("the URL needs a user, and no password: others could read that")}
	}
	if u.Port() != "" {
		port = u.Port()
	}
	at := pull.Server{
		Address: net.JoinHostPort(u.Hostname(), port), User: u.User.Username(), Implicit: u.Scheme == "imaps" || u.Scheme == "pop3s",
		InsecureLogin: s.clear,
	}
	var err error
	if at.TLS, err = s.tls(); err != nil {
		return nil, nil, err
	}
	if at.Password, err = s.password(cmd, u.Redacted()); err != nil {
		return nil, nil, err
	}
	if u.Scheme == "pop3" || u.Scheme == "pop3s" {
		p, err := pull.OpenPOP3(ctx, at)
		if err != nil {
			return nil, nil, err
		}
		return p, func() error { _ = p.Close(); return nil }, nil // all was read
	}
	i, err := pull.OpenIMAP(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	return i, func() error { _ = i.Close(); return nil }, nil // all was read
}

func (s *sourceFlags) tls() (*tls.Config, error) {
	if s.authority == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", s.authority)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// password returns the password at the server, of which the terminal is asked once.
func (s *sourceFlags) password(cmd *cobra.Command, where string) (string, error) {
	in := cmd.InOrStdin()
	switch {
	case s.file != "":
		f, err := os.Open(s.file)
		if err != nil {
			return "", err
		}
		defer f.Close() // only read
		in = f
	case s.stdin:
	default:
		fd := int(os.Stdin.Fd())
		if !term.IsTerminal(fd) {
			return "", &exitError{exitUsage, errors.New("the standard input is no terminal to ask for a password at: see --password-stdin")}
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Password at %s: ", where)
		line, err := term.ReadPassword(fd)
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(line), err
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4<<10)).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

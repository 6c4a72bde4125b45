package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
)

// passwordFlags say where a password comes from and what is made of it.
type passwordFlags struct {
	stdin   bool
	noScram bool
	none    bool
}

func (p *passwordFlags) flags(cmd *cobra.Command, mayMiss bool) {
	cmd.Flags().BoolVar(&p.stdin, "password-stdin", false, "take the first line of the standard input as the password")
	cmd.Flags().BoolVar(&p.noScram, "no-scram", false, "keep no keys for SCRAM-SHA-256; no program is offered SCRAM then")
	if mayMiss {
		cmd.Flags().BoolVar(&p.none, "no-password", false, "no password: app passwords only, or none at all yet")
		cmd.MarkFlagsMutuallyExclusive("password-stdin", "no-password")
	}
}

// set gives u its password.
func (p *passwordFlags) set(cmd *cobra.Command, u *auth.Entry) error {
	if p.none {
		return nil
	}
	plain, err := p.read(cmd)
	if err != nil {
		return err
	}
	if err := userfile.SetPassword(u, plain, !p.noScram); err != nil {
		return failed(err)
	}
	return nil
}

// read takes the password from the standard input, or twice from the terminal,
// which does not show it.
func (p *passwordFlags) read(cmd *cobra.Command) ([]byte, error) {
	if p.stdin {
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), password.MaxBytes+2)).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, failed(err)
		}
		return checked(bytes.TrimRight(line, "\r\n"))
	}
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil, &exitError{exitUsage, errors.New("the standard input is no terminal to ask for a password at: see --password-stdin")}
	}
	var typed [2][]byte
	for i, prompt := range [...]string{"Password: ", "Again: "} {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		line, err := term.ReadPassword(fd)
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return nil, failed(err)
		}
		typed[i] = line
	}
	if !bytes.Equal(typed[0], typed[1]) {
		return nil, failed(errors.New("the two differ; nothing was changed"))
	}
	return checked(typed[0])
}

func checked(plain []byte) ([]byte, error) {
	if len(plain) == 0 || len(plain) > password.MaxBytes {
		return nil, failed(password.ErrLong)
	}
	return plain, nil
}

// settings are what can be said of a user beside the password.
type settings struct {
	quota         string
	quotaMessages int64
	sendAs        []string
	disable       bool
	enable        bool
}

func (s *settings) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.quota, "quota", "", "bound of the mailboxes, as `SIZE`: 5GB; none; 0 for what is configured for all")
	cmd.Flags().Int64Var(&s.quotaMessages, "quota-messages", 0, "bound of the mailboxes in messages; -1: none, 0: what is configured for all")
	cmd.Flags().StringSliceVar(&s.sendAs, "send-as", nil, "`ADDRESSES` or @DOMAINS the user may send as, beside the own address")
	cmd.Flags().BoolVar(&s.disable, "disable", false, "no login; mail is still filed")
}

// apply changes u as the flags that were given say.
func (s *settings) apply(cmd *cobra.Command, u *auth.Entry) error {
	if cmd.Flags().Changed("quota") {
		n, err := userfile.ParseSize(s.quota)
		if err != nil {
			return &exitError{exitUsage, fmt.Errorf("--quota %q: %w", s.quota, err)}
		}
		u.QuotaBytes = n
	}
	if cmd.Flags().Changed("quota-messages") {
		u.QuotaMessages = max(-1, s.quotaMessages)
	}
	if cmd.Flags().Changed("send-as") {
		u.Senders = nil
		for _, a := range s.sendAs {
			if a = strings.ToLower(strings.TrimSpace(a)); a == "" {
				continue
			}
			if !userfile.ValidSender(a) {
				return &exitError{exitUsage, fmt.Errorf("--send-as %q: neither an address nor @DOMAIN", a)}
			}
			u.Senders = append(u.Senders, a)
		}
	}
	if s.disable {
		u.Disabled = true
	}
	if s.enable {
		u.Disabled = false
	}
	return nil
}

func (v *userVerbs) set() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "set ADDRESS", Short: "Change a user's quota and sender addresses; disable and enable", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := []string{"quota", "quota-messages", "send-as", "disable", "enable"}
			if !slices.ContainsFunc(given, cmd.Flags().Changed) {
				return errors.New("nothing to set")
			}
			full, err := v.changeUser(args[0], func(_ *userfile.Edit, u *auth.Entry) error { return s.apply(cmd, u) })
			if err != nil {
				return err
			}
			return say(cmd.OutOrStdout(), "changed %s\n", full)
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&s.enable, "enable", false, "login again")
	cmd.MarkFlagsMutuallyExclusive("enable", "disable")
	return cmd
}

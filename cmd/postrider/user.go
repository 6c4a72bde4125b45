package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"postrider/internal/auth"
	"postrider/internal/auth/userfile"
	"postrider/internal/config"
)

// userVerbs are the commands that write the users file. A server that runs sees
// every change by itself within a second.
type userVerbs struct {
	load func() (*config.Config, error)
}

func userCommand(load func() (*config.Config, error)) *cobra.Command {
	v := &userVerbs{load: load}
	user := &cobra.Command{Use: "user", Short: "Users of SMTP AUTH, IMAP and POP3, and their mailboxes' owners", Args: cobra.NoArgs, RunE: needVerb}
	user.AddCommand(v.add(), v.passwd(), v.set(), v.list(), v.rm(), v.appPassword(), v.importUsers())
	return user
}

// open loads the configuration, and returns the users file and the domain of bare
// names.
func (v *userVerbs) open() (cfg *config.Config, err error) {
	if cfg, err = v.load(); err != nil {
		return nil, err
	}
	if cfg.Users.File == "" {
		return nil, failed(errors.New("there is no users file: [users] file is empty"))
	}
	return cfg, nil
}

// name makes a full address of what an operator wrote.
func name(cfg *config.Config, arg string) (string, error) {
	full := arg
	if !strings.Contains(arg, "@") {
		if len(cfg.Local.Domains) == 0 {
			return "", &exitError{exitUsage, fmt.Errorf("%q has no domain, and local.domains is empty: write the full address", arg)}
		}
		full = arg + "@" + cfg.Local.Domains[0]
	}
	if full = auth.Canonical(full); full == "" {
		return "", &exitError{exitUsage, fmt.Errorf("%q is not an address", arg)}
	}
	return full, nil
}

// isLocal reports a name whose mail is filed here.
func isLocal(cfg *config.Config, name string) bool {
	domain := name[strings.LastIndexByte(name, '@')+1:]
	for _, d := range cfg.Local.Domains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return false
}

// noUser is the error of a name that has no line.
func noUser(name string) error {
	return &exitError{exitNoMatch, fmt.Errorf("no user %s", name)}
}

// change applies f to the users file. An error of f that has no code ends with 1.
func change(cfg *config.Config, f func(*userfile.Edit) error) error {
	err := userfile.Change(cfg.Users.File, f)
	var coded *exitError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return failed(err)
}

// changeUser applies f to one user.
func (v *userVerbs) changeUser(arg string, f func(*userfile.Edit, *auth.Entry) error) (string, error) {
	cfg, err := v.open()
	if err != nil {
		return "", err
	}
	full, err := name(cfg, arg)
	if err != nil {
		return "", err
	}
	return full, change(cfg, func(e *userfile.Edit) error {
		u := e.Lookup(full)
		if u == nil {
			return noUser(full)
		}
		if err := f(e, u); err != nil {
			return err
		}
		return e.Put(u)
	})
}

func (v *userVerbs) add() *cobra.Command {
	var p passwordFlags
	var s settings
	cmd := &cobra.Command{
		Use: "add ADDRESS", Short: "Add a user; the password is asked for", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := v.open()
			if err != nil {
				return err
			}
			full, err := name(cfg, args[0])
			if err != nil {
				return err
			}
			u := &auth.Entry{Name: full}
			if err := s.apply(cmd, u); err != nil {
				return err
			}
			if err := absent(cfg, full); err != nil { // before anybody types a password
				return err
			}
			if err := p.set(cmd, u); err != nil {
				return err
			}
			err = change(cfg, func(e *userfile.Edit) error {
				if e.Lookup(full) != nil {
					return exists(full)
				}
				return e.Put(u)
			})
			if err != nil {
				return err
			}
			if !isLocal(cfg, full) {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: the domain of %s is not in local.domains, so mail for it is not filed here\n", full)
			}
			return say(cmd.OutOrStdout(), "added %s\n", full)
		},
	}
	p.flags(cmd, true)
	s.flags(cmd)
	return cmd
}

func absent(cfg *config.Config, name string) error {
	t, err := userfile.Load(cfg.Users.File)
	if err != nil {
		return failed(err)
	}
	if t.Lookup(name) != nil {
		return exists(name)
	}
	return nil
}

func exists(name string) error {
	return failed(fmt.Errorf("user %s exists; see 'postrider user passwd' and 'user set'", name))
}

func say(w io.Writer, format string, a ...any) error {
	_, err := fmt.Fprintf(w, format, a...)
	return err
}

func (v *userVerbs) passwd() *cobra.Command {
	var p passwordFlags
	cmd := &cobra.Command{
		Use: "passwd ADDRESS", Short: "Set a user's password; app passwords stay", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := v.open()
			if err != nil {
				return err
			}
			full, err := name(cfg, args[0])
			if err != nil {
				return err
			}
			if t, err := userfile.Load(cfg.Users.File); err != nil {
				return failed(err)
			} else if t.Lookup(full) == nil {
				return noUser(full)
			}
			plain, err := p.read(cmd)
			if err != nil {
				return err
			}
			if _, err = v.changeUser(full, func(_ *userfile.Edit, u *auth.Entry) error {
				return userfile.SetPassword(u, plain, !p.noScram)
			}); err != nil {
				return err
			}
			return say(cmd.OutOrStdout(), "changed the password of %s\n", full)
		},
	}
	p.flags(cmd, false)
	return cmd
}

func (v *userVerbs) rm() *cobra.Command {
	return &cobra.Command{
		Use: "rm ADDRESS...", Short: "Remove users; their mailboxes stay", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := v.open()
			if err != nil {
				return err
			}
			var removed []string
			missing := 0
			err = change(cfg, func(e *userfile.Edit) error {
				for _, arg := range args {
					full, err := name(cfg, arg)
					if err != nil {
						return err
					}
					if !e.Remove(full) {
						missing++
						fmt.Fprintln(cmd.ErrOrStderr(), "postrider:", noUser(full))
						continue
					}
					removed = append(removed, full)
				}
				return nil
			})
			if err != nil {
				return err
			}
			for _, r := range removed {
				if err := say(cmd.OutOrStdout(), "removed %s\n", r); err != nil {
					return err
				}
			}
			switch {
			case missing > 0 && len(removed) == 0:
				return &exitError{exitNoMatch, nil}
			case missing > 0:
				return &exitError{exitPartly, nil}
			}
			return nil
		},
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postrider/internal/auth"
	"postrider/internal/auth/userfile"
	"postrider/internal/config"
)

// importing is one run of `user import`.
type importing struct {
	format  string
	domain  string
	plain   bool
	replace bool
	dry     bool

	added, replaced, existing, without, refused int
}

func (v *userVerbs) importUsers() *cobra.Command {
	var m importing
	cmd := &cobra.Command{
		Use: "import --format FORMAT FILE", Short: "Take users over from another server, with their passwords as they are stored there",
		Long: "FILE is a passwd or shadow file, a passwd-file of Dovecot, or one that htpasswd has written; - is the standard input.\n" +
			"Lines that cannot be taken are told one by one, the others are imported (exit code 4).",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(userfile.Formats(), m.format) {
				return fmt.Errorf("--format is one of %s", strings.Join(userfile.Formats(), ", "))
			}
			cfg, err := v.open()
			if err != nil {
				return err
			}
			if m.domain == "" && len(cfg.Local.Domains) > 0 {
				m.domain = cfg.Local.Domains[0]
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return failed(err)
				}
				defer f.Close()
				in = f
			}
			if err := m.run(cmd, cfg, args[0], in); err != nil {
				return err
			}
			return m.tell(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&m.format, "format", "", "`FORMAT` of the file: passwd, dovecot, htpasswd")
	cmd.Flags().StringVar(&m.domain, "domain", "", "`DOMAIN` of bare names (default: the first local domain)")
	cmd.Flags().BoolVar(&m.plain, "allow-plain", false, "take passwords that stand there in clear; they are hashed")
	cmd.Flags().BoolVar(&m.replace, "replace", false, "replace the passwords of users that exist")
	cmd.Flags().BoolVar(&m.dry, "dry-run", false, "only tell what would be done")
	return cmd
}

func (m *importing) run(cmd *cobra.Command, cfg *config.Config, path string, in io.Reader) error {
	i := userfile.Import{Format: m.format, Domain: m.domain, Plain: m.plain}
	var users []*auth.Entry // read before the file is locked: hashing takes time
	err := i.Read(in, func(line int, u *auth.Entry, err error) error {
		if errors.Is(err, userfile.ErrNoPassword) {
			m.without++
			return nil
		}
		if err != nil {
			m.refused++
			fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: %v\n", path, line, err)
			return nil
		}
		users = append(users, u)
		return nil
	})
	if err != nil {
		return failed(fmt.Errorf("%s: %w", path, err))
	}
	if m.dry {
		table, err := userfile.Load(cfg.Users.File)
		if err != nil {
			return failed(err)
		}
		for _, u := range users {
			m.count(table.Lookup(u.Name) != nil)
		}
		return nil
	}
	return change(cfg, func(e *userfile.Edit) error {
		for _, u := range users {
			old := e.Lookup(u.Name)
			if m.count(old != nil); old != nil {
				if !m.replace {
					continue
				}
				old.Hash, old.Scram, old.Disabled = u.Hash, u.Scram, u.Disabled
				for i := range old.AppPasswords {
					old.AppPasswords[i].Scram = nil // whose salt was the old keys'
				}
				u = old
			}
			if err := e.Put(u); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *importing) count(exists bool) {
	switch {
	case !exists:
		m.added++
	case m.replace:
		m.replaced++
	default:
		m.existing++
	}
}

func (m *importing) tell(w io.Writer) error {
	lead := ""
	if m.dry {
		lead = "would be "
	}
	if err := say(w, "%sadded %d, replaced %d, left as they are %d, without a password %d, refused %d\n", lead, m.added, m.replaced, m.existing, m.without, m.refused); err != nil {
		return failed(err)
	}
	switch {
	case m.refused > 0 && m.added+m.replaced+m.existing > 0:
		return &exitError{exitPartly, nil}
	case m.refused > 0:
		return &exitError{exitFailed, nil}
	case m.added+m.replaced+m.existing == 0:
		return &exitError{exitNoMatch, fmt.Errorf("there are no users in it")}
	}
	return nil
}

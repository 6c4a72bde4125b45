package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postrider/internal/auth"
	"postrider/internal/auth/userfile"
)

func (v *userVerbs) appPassword() *cobra.Command {
	cmd := &cobra.Command{Use: "app-password", Short: "Random passwords for single programs, each of which can be taken back", Args: cobra.NoArgs, RunE: needVerb}
	cmd.AddCommand(v.appAdd(), v.appList(), v.appRemove())
	return cmd
}

func (v *userVerbs) appAdd() *cobra.Command {
	var label string
	var scopes []string
	cmd := &cobra.Command{
		Use: "add ADDRESS --name NAME", Short: "Make one; it is shown once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range scopes {
				if !userfile.ValidScope(s) {
					return fmt.Errorf("--scope %q: smtp, pop3 and imap are known", s)
				}
			}
			if strings.TrimSpace(label) == "" {
				return fmt.Errorf("--name is missing: what is the password for?")
			}
			var plain string
			full, err := v.changeUser(args[0], func(e *userfile.Edit, u *auth.Entry) (err error) {
				if findApp(u, label) >= 0 {
					return failed(fmt.Errorf("user %s has an app password %q; remove it first", u.Name, label))
				}
				plain, err = userfile.AddAppPassword(u, e.Secret, label, scopes)
				return err
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "app password %q of %s, shown this once:\n", label, full)
			return say(cmd.OutOrStdout(), "%s\n", plain)
		},
	}
	cmd.Flags().StringVar(&label, "name", "", "what it is for, as `NAME`: \"phone\"")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "`PROTOCOLS` it is good for: smtp, pop3, imap (default: all)")
	return cmd
}

func findApp(u *auth.Entry, label string) int {
	return slices.IndexFunc(u.AppPasswords, func(p auth.AppPassword) bool { return p.Name == label })
}

func (v *userVerbs) appList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list ADDRESS", Short: "List their names and what they are good for", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := v.open()
			if err != nil {
				return err
			}
			full, err := name(cfg, args[0])
			if err != nil {
				return err
			}
			table, err := userfile.Load(cfg.Users.File)
			if err != nil {
				return failed(err)
			}
			e := table.Lookup(full)
			if e == nil {
				return noUser(full)
			}
			for _, p := range lineOf(e).AppPasswords {
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(p)
				} else {
					scopes := strings.Join(p.Scopes, ",")
					if scopes == "" {
						scopes = "all"
					}
					err = say(cmd.OutOrStdout(), "%s  %s\n", p.Name, scopes)
				}
				if err != nil {
					return failed(err)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (v *userVerbs) appRemove() *cobra.Command {
	var label string
	cmd := &cobra.Command{
		Use: "rm ADDRESS --name NAME", Short: "Take one back", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			full, err := v.changeUser(args[0], func(_ *userfile.Edit, u *auth.Entry) error {
				i := findApp(u, label)
				if i < 0 {
					return &exitError{exitNoMatch, fmt.Errorf("user %s has no app password %q", u.Name, label)}
				}
				u.AppPasswords = slices.Delete(u.AppPasswords, i, i+1)
				return nil
			})
			if err != nil {
				return err
			}
			return say(cmd.OutOrStdout(), "removed app password %q of %s\n", label, full)
		},
	}
	cmd.Flags().StringVar(&label, "name", "", "which one, by its `NAME`")
	return cmd
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
)

// userLine is a user as `list --json` shows one: nothing of it is secret.
type userLine struct {
	Name          string    `json:"name"`
	Password      string    `json:"password"` // the kind of the stored form; "": none
	Scram         bool      `json:"scram"`
	AppPasswords  []appLine `json:"app_passwords"`
	SendAs        []string  `json:"send_as"`
	QuotaBytes    int64     `json:"quota_bytes"` // 0: as configured for all, -1: none
	QuotaMessages int64     `json:"quota_messages"`
	Disabled      bool      `json:"disabled"`
}

type appLine struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"` // empty: all
}

func lineOf(e *auth.Entry) *userLine {
	l := &userLine{Name: e.Name, Password: password.Kind(e.Hash), Scram: e.Scram != nil, SendAs: slices.Concat([]string{}, e.Senders),
		QuotaBytes: e.QuotaBytes, QuotaMessages: e.QuotaMessages, Disabled: e.Disabled, AppPasswords: []appLine{}}
	for i := range e.AppPasswords {
		p := &e.AppPasswords[i]
		l.AppPasswords = append(l.AppPasswords, appLine{p.Name, slices.Concat([]string{}, p.Scopes)})
	}
	return l
}

// text is one line for a person.
func (l *userLine) text() string {
	b := []byte(l.Name)
	add := func(format string, a ...any) { b = fmt.Appendf(append(b, "  "...), format, a...) }
	switch {
	case l.Password == "":
		add("no password")
	case l.Scram:
		add("%s+scram", l.Password)
	default:
		add("%s", l.Password)
	}
	if n := len(l.AppPasswords); n > 0 {
		add("%d app passwords", n)
	}
	if l.QuotaBytes != 0 {
		add("quota %s", userfile.AppendSize(nil, l.QuotaBytes))
	}
	if l.QuotaMessages != 0 {
		add("quota-messages %d", l.QuotaMessages)
	}
	if len(l.SendAs) > 0 {
		add("sends as %s", strings.Join(l.SendAs, ","))
	}
	if l.Disabled {
		add("disabled")
	}
	return string(b)
}

func (v *userVerbs) list() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list [ADDRESS]...", Short: "List users, without their secrets", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			cfg, err := v.open()
			if err != nil {
				return err
			}
			table, err := userfile.Load(cfg.Users.File)
			if err != nil {
				return failed(err)
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			defer func() { err = errors.Join(err, w.Flush()) }()
			if len(args) == 0 {
				for e := range table.All() {
					if err := show(w, lineOf(e), asJSON); err != nil {
						return failed(err)
					}
				}
				return nil
			}
			for _, arg := range args {
				full, err := name(cfg, arg)
				if err != nil {
					return err
				}
				e := table.Lookup(full)
				if e == nil {
					return noUser(full)
				}
				if err := show(w, lineOf(e), asJSON); err != nil {
					return failed(err)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func show(w io.Writer, l *userLine, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(l)
	}
	return say(w, "%s\n", l.text())
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"postrider/internal/config"
	"postrider/internal/dns"
	"postrider/internal/dnscheck"
)

func dnsCommand(load func() (*config.Config, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "The records that the server and its domains need in the DNS",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(dnsCheckCommand(load))
	return cmd
}

func dnsCheckCommand(load func() (*config.Config, error)) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "check [DOMAIN]...",
		Short: "Print the records that should be there, and whether they are",
		Long: `Print the records that the server and a domain should have in the DNS, and whether
they are there: addresses and their names, MX, SPF, and what lets mail programs find
the server (SRV, autoconfig). Without DOMAIN all domains of [local] are looked at.

Each record is ok, missing, different (what is there follows) or unknown (the name
service did not answer). Exit codes as a monitoring plug-in has them: 0 all is there,
1 only convenience for users is not, 2 something is not without which mail is lost or
refused, or the name service did not answer.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			cfg, err := load()
			if err != nil {
				return err
			}
			domains, err := domainsToCheck(cfg, args)
			if err != nil {
				return err
			}
			resolver, err := dns.New(dns.Options{Servers: cfg.DNS.Servers})
			if err != nil {
				return &exitError{exitUsage, err}
			}
			defer func() {
				if closed := resolver.Close(); err == nil && closed != nil {
					err = failed(closed)
				}
			}()
			checker := dnscheck.New(resolver, checkOptions(cfg))
			p := recordPrinter{cmd.OutOrStdout(), asJSON}
			records := checker.Host(cmd.Context())
			if err := p.print("", records); err != nil {
				return failed(err)
			}
			for _, domain := range domains {
				more := checker.Domain(cmd.Context(), domain)
				if err := p.print(domain, more); err != nil {
					return failed(err)
				}
				records = append(records, more...)
			}
			if code := dnscheck.Level(records); code != 0 {
				return &exitError{code, nil}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// domainsToCheck returns the domains in the form in which they are asked for.
func domainsToCheck(cfg *config.Config, args []string) (list []string, err error) {
	if len(args) == 0 {
		args = cfg.Local.Domains
	}
	for _, a := range args {
		name, ok := dns.ASCII(a)
		if !ok {
			return nil, fmt.Errorf("%q is no domain", a)
		}
		list = append(list, name)
	}
	return list, nil
}

// checkOptions says what the server is.
func checkOptions(cfg *config.Config) dnscheck.Options {
	o := dnscheck.Options{Hostname: strings.ToLower(cfg.Hostname), Ports: map[string]uint16{}, Autoconfig: cfg.Autoconfig.Address != ""}
	for _, s := range cfg.Sources {
		for _, a := range []netip.Addr{s.Address, s.Address6} {
			if a.IsValid() {
				o.Sources = append(o.Sources, dnscheck.Source{Addr: a, Name: strings.ToLower(s.Hello)})
			}
		}
	}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		switch l.Service {
		case config.ServiceSubmission, config.ServiceSubmissions, config.ServicePOP3, config.ServicePOP3S, config.ServiceIMAP, config.ServiceIMAPS:
		default:
			continue
		}
		if port, ok := publicPort(l); ok && o.Ports[string(l.Service)] == 0 {
			o.Ports[string(l.Service)] = port
		}
	}
	return o
}

// publicPort returns the port of a listener that others than this machine can reach.
func publicPort(l *config.Listener) (uint16, bool) {
	host, text, err := net.SplitHostPort(l.Host)
	if err != nil || l.Network != "tcp" {
		return 0, false
	}
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		return 0, false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return uint16(port), err == nil && port != 0
}

// recordPrinter shows records as a table whose right half can go into a zone, or as
// JSON.
type recordPrinter struct {
	w      io.Writer
	asJSON bool
}

func (p recordPrinter) print(domain string, records []dnscheck.Record) error {
	if p.asJSON {
		e := json.NewEncoder(p.w)
		for _, r := range records {
			if r.Have == nil {
				r.Have = []string{}
			}
			if err := e.Encode(struct {
				Domain string `json:"domain"` // "": the server itself
				dnscheck.Record
			}{domain, r}); err != nil {
				return err
			}
		}
		return nil
	}
	title := "the server"
	if domain != "" {
		title = "\n" + domain
	}
	if _, err := fmt.Fprintln(p.w, title); err != nil {
		return err
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range records {
		line := fmt.Sprintf("  %s\t%s\t%s\t%s", r.State, r.Name, r.Type, r.Want)
		if r.State == dnscheck.Different || r.Type == "A/AAAA" && len(r.Have) > 0 {
			line += "\tis " + strings.Join(r.Have, ", ")
		} else {
			line += "\t"
		}
		if r.Note != "" {
			line += " (" + r.Note + ")"
		}
		if _, err := fmt.Fprintln(t, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return t.Flush()
}

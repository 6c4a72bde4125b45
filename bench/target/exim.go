package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// exim runs Debian's exim4-daemon-light.
type exim struct{ isp bool }

const (
	eximPackage = "exim4-daemon-light"
	eximProgram = "usr/sbin/exim4"
	eximUID     = 64_990
)

func (t exim) plan(ctx context.Context, o Options, n Need) (*plan, error) {
	if n.Mailboxes > 0 || n.Auth {
		return nil, fmt.Errorf("mailboxes and AUTH: %w", ErrUnsupported)
	}
	p, err := newPeer(o, n.Dir, "exim", eximProgram, eximPackage)
	if err != nil {
		return nil, err
	}
	addresses, err := loopback(1)
	if err != nil {
		return nil, err
	}
	s := eximSettings{listen: addresses[0], dir: n.Dir, program: p.path(eximProgram), need: n, isp: t.isp}
	if err := p.etc(ctx, n.DNS, peerUser{"Debian-exim", eximUID}); err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	run := func(arguments ...string) []string {
		return private(p.mounts, append([]string{s.program}, arguments...))
	}
	out := &plan{smtp: s.listen, data: filepath.Join(n.Dir, "spool"), argv: run(s.arguments(n.Suspended)...)}
	version, err := output(ctx, run("-bV")...)
	if err != nil {
		return nil, err
	}
	out.info.Version = eximVersion(version)
	out.info.Config = "# exim " + strings.Join(s.arguments(n.Suspended), " ") + "\n" + s.text(n.Suspended)
	if out.info.Binary, err = p.hash(eximProgram); err != nil {
		return nil, err
	}
	out.queued = func(ctx context.Context, _ *running) (int64, error) {
		text, err := output(ctx, run("-bpu")...)
		return countExim(text), err
	}
	// Whether a daemon looks after the queue is said at its start.
	out.resume = func(ctx context.Context, r *running) error {
		if err := s.write(false); err != nil {
			return err
		}
		r.plan.argv = run(s.arguments(false)...)
		return r.Restart(ctx)
	}
	return out, nil
}

// eximVersion finds the version in "Exim version 4.96 #2 built ...".
func eximVersion(text string) string {
	words := strings.Fields(text)
	if len(words) < 3 {
		return ""
	}
	return words[2]
}

// countExim counts the recipients in the output of exim -bpu: for each message a
// line about it, a line for each address that has not been delivered, which is
// indented, and an empty line.
func countExim(text string) (n int64) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "          ") && strings.TrimSpace(line) != "" {
			n++
		}
	}
	return n
}

// eximSettings are what its configuration depends on.
type eximSettings struct {
	listen  string
	dir     string
	program string
	need    Need
	isp     bool
}

// arguments are those of the daemon. Debian's looks after the queue each half
// hour.
func (s eximSettings) arguments(suspended bool) []string {
	if suspended {
		return []string{"-bdf"}
	}
	every := 30 * time.Minute
	if s.isp {
		every = time.Minute
	}
	if s.need.RetryFirst > 0 {
		every = min(every, max(time.Second, s.need.RetryFirst))
	}
	return []string{"-bdf", fmt.Sprintf("-q%ds", every/time.Second)}
}

func (s eximSettings) write(suspended bool) error {
	return write(s.dir, []file{{filepath.Join("etc", "exim4", "exim4.conf"), s.text(suspended)}})
}

// prepare writes the configuration and makes the folders that are the server's.
func (s eximSettings) prepare() error {
	for _, name := range []string{"spool", "log"} {
		name = filepath.Join(s.dir, name)
		if err := os.MkdirAll(name, 0o750); err != nil {
			return err
		}
		if err := os.Chown(name, eximUID, eximUID); err != nil {
			return err
		}
	}
	if s.need.TLS {
		pem, err := selfSigned("mta.bench.test")
		if err != nil {
			return err
		}
		name := filepath.Join(s.dir, certificateName)
		if err := os.WriteFile(name, pem, 0o600); err != nil {
			return err
		}
		if err := os.Chown(name, eximUID, eximUID); err != nil {
			return err
		}
	}
	return s.write(s.need.Suspended)
}

// text returns the configuration: what Debian's package makes for a smart host,
// with two limits raised that would stop a load on kept connections: it would take
// 20 connections at once, and leave each message after the tenth of a connection to
// the next look at the queue.
//
// The profile "isp" changes what an operator sets who has to move much mail: names
// of clients are not looked up, the spool is split, more deliveries and looks at
// the queue may go on at once, and more messages over one connection.
func (s eximSettings) text(suspended bool) string {
	var b strings.Builder
	set := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	set("exim_path = %s", s.program)
	set("spool_directory = %s", filepath.Join(s.dir, "spool"))
	set("log_file_path = %s", filepath.Join(s.dir, "log", "%slog"))
	set("pid_file_path = %s", filepath.Join(s.dir, "spool", "exim.pid"))
	set("primary_hostname = mta.bench.test\nqualify_domain = mta.bench.test")
	set("domainlist local_domains = @\nhostlist relay_from_hosts = 127.0.0.0/8")
	set("acl_smtp_rcpt = acl_check_rcpt")
	set("local_interfaces = 127.0.0.1\ndaemon_smtp_ports = %s", port(s.listen))
	set("disable_ipv6 = true\nkeep_environment =\nprdr_enable = true")
	set("ignore_bounce_errors_after = 2d\ntimeout_frozen_after = 7d")
	set("message_size_limit = %d", s.need.MaxMessage)
	set("smtp_accept_max = %d\nsmtp_connect_backlog = %d", max(20, s.need.Conns+20), max(20, s.need.Conns))
	set("smtp_accept_queue_per_connection = 0")
	if s.need.TLS {
		name := filepath.Join(s.dir, certificateName)
		set("tls_advertise_hosts = *\ntls_certificate = %s\ntls_privatekey = %s", name, name)
	} else {
		set("tls_advertise_hosts =")
	}
	if s.isp {
		set("split_spool_directory = true\nqueue_run_max = 20\nremote_max_parallel = 20")
		set("smtp_accept_max_per_connection = 100000\nsmtp_accept_max_nonmail = -1")
	} else {
		set("host_lookup = *\nsmtp_accept_max_per_connection = 1000")
	}
	if suspended {
		set("queue_only = true")
	}
	set("\nbegin acl\nacl_check_rcpt:\n  accept hosts = +relay_from_hosts\n  deny message = relay not permitted")
	set("\nbegin routers")
	if s.need.NextHop != "" {
		host, port, _ := strings.Cut(s.need.NextHop, ":")
		set("smarthost:\n  driver = manualroute\n  domains = ! +local_domains\n  transport = remote_smtp")
		set("  route_list = * %s::%s byname\n  self = send\n  no_more", host, port)
	} else {
		set("dnslookup:\n  driver = dnslookup\n  domains = ! +local_domains\n  transport = remote_smtp\n  self = send\n  no_more")
	}
	set("\nbegin transports\nremote_smtp:\n  driver = smtp\n  hosts_try_auth =\n  dnssec_request_domains =")
	switch {
	case s.need.HopLMTP:
		set("  protocol = lmtp\n  port = 24") // the name of its default is not in every list of services
	case s.need.NextHop == "":
		set("  port = %d", s.need.MXPort)
	}
	if s.isp {
		set("  connection_max_messages = 0")
	}
	set("\nbegin retry\n%s", s.retry())
	return b.String()
}

// retry returns Debian's rule, or one that begins with the pause that the scenario
// wants.
func (s eximSettings) retry() string {
	if s.need.RetryFirst <= 0 {
		return "* * F,2h,15m; G,16h,1h,1.5; F,4d,6h"
	}
	first := max(time.Second, s.need.RetryFirst) / time.Second
	return fmt.Sprintf("* * F,%ds,%ds; G,16h,%ds,1.5; F,4d,6h", 8*first, first, 4*first)
}

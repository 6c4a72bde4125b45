package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// opensmtpd runs Debian's OpenSMTPD. Its queue, its socket and its users are
// compiled in.
type opensmtpd struct{ isp bool }

const (
	opensmtpdPackage = "opensmtpd"
	opensmtpdProgram = "usr/sbin/smtpd"
	opensmtpdControl = "usr/sbin/smtpctl"
	opensmtpdUID     = 64_991
)

func (t opensmtpd) plan(ctx context.Context, o Options, n Need) (*plan, error) {
	if n.Mailboxes > 0 || n.Auth || n.RetryFirst > 0 || n.NextHop == "" && n.MXPort != 25 {
		return nil, fmt.Errorf("mailboxes, AUTH, a retry schedule and another port than 25 of an MX: %w", ErrUnsupported)
	}
	p, err := newPeer(o, n.Dir, "opensmtpd", opensmtpdProgram, opensmtpdPackage)
	if err != nil {
		return nil, err
	}
	addresses, err := loopback(1)
	if err != nil {
		return nil, err
	}
	s := opensmtpdSettings{listen: addresses[0], dir: n.Dir, need: n, isp: t.isp}
	if err := s.prepare(ctx, p); err != nil {
		return nil, err
	}
	run := func(program string, arguments ...string) []string {
		return private(p.mounts, append([]string{p.path(program)}, arguments...))
	}
	arguments := []string{"-F", "-f", filepath.Join(n.Dir, "smtpd.conf")}
	out := &plan{smtp: s.listen, data: filepath.Join(n.Dir, "spool", "smtpd"), argv: run(opensmtpdProgram, arguments...)}
	if n.Suspended {
		out.argv = run(opensmtpdProgram, append(arguments, "-P", "mta")...)
	}
	// It tells its version together with how it is used, and fails.
	usage, _ := output(ctx, run(opensmtpdProgram, "-h")...)
	out.info.Version = opensmtpdVersion(usage)
	out.info.Config = s.text()
	if out.info.Binary, err = p.hash(opensmtpdProgram); err != nil {
		return nil, err
	}
	// Its package gives the control program the rights of a group, and it refuses to
	// work without them.
	control := func(arguments ...string) []string {
		group := fmt.Sprintf("--regid=%d", opensmtpdUID+1)
		return private(p.mounts, append([]string{"setpriv", group, "--keep-groups", p.path(opensmtpdControl)}, arguments...))
	}
	out.queued = func(ctx context.Context, _ *running) (int64, error) {
		text, err := output(ctx, control("show", "queue")...)
		return countOpenSMTPD(text), err
	}
	out.reload = func(context.Context, *running) error { return ErrUnsupported } // it has no such thing
	out.resume = func(ctx context.Context, r *running) error {
		r.plan.argv = run(opensmtpdProgram, arguments...) // for later restarts
		_, err := output(ctx, control("resume", "mta")...)
		return err
	}
	return out, nil
}

// opensmtpdVersion finds the version in "version: OpenSMTPD 6.8.0p2".
func opensmtpdVersion(text string) string {
	_, after, _ := strings.Cut(text, "OpenSMTPD ")
	return strings.Fields(after + " ?")[0]
}

// countOpenSMTPD counts the lines of smtpctl show queue: one for each recipient,
// with fields that | separates.
func countOpenSMTPD(text string) (n int64) {
	for line := range strings.Lines(text) {
		if strings.Count(line, "|") >= 10 {
			n++
		}
	}
	return n
}

// opensmtpdSettings are what its configuration depends on.
type opensmtpdSettings struct {
	listen string
	dir    string
	need   Need
	isp    bool
}

// prepare writes the configuration and makes the folders that it wants to find.
func (s opensmtpdSettings) prepare(ctx context.Context, p *peer) error {
	for _, m := range []mount{{"spool", "/var/spool"}, {"run", "/run"}, {"lib", "/var/lib"}} {
		if err := p.lay(m.from, m.onto); err != nil {
			return err
		}
	}
	users := []peerUser{{"opensmtpd", opensmtpdUID}, {"opensmtpq", opensmtpdUID + 1}}
	if err := p.etc(ctx, s.need.DNS, users...); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "lib", "opensmtpd", "empty"), 0o755); err != nil {
		return err
	}
	spool := filepath.Join(s.dir, "spool", "smtpd")
	if err := os.MkdirAll(spool, 0o711); err != nil {
		return err
	}
	if err := os.Chmod(spool, 0o711); err != nil {
		return err
	}
	if s.need.TLS {
		pem, err := selfSigned("mta.bench.test")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, certificateName), pem, 0o600); err != nil {
			return err
		}
	}
	return write(s.dir, []file{{"smtpd.conf", s.text()}})
}

// text returns the configuration. By default a session may bring 100 messages and
// gets a 4xx for more, so a load on kept connections must change them. The profile
// "isp" raises the limits of sessions and of connections to a destination, and
// takes the pauses between these away.
func (s opensmtpdSettings) text() string {
	var b strings.Builder
	set := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	tls := ""
	if s.need.TLS {
		name := filepath.Join(s.dir, certificateName)
		set("pki mta.bench.test cert %q\npki mta.bench.test key %q", name, name)
		tls = " tls pki mta.bench.test"
	}
	set("smtp max-message-size %d", s.need.MaxMessage)
	if s.isp {
		set("queue ttl 4d")
		set("smtp limit max-mails 100000\nsmtp limit max-rcpt 100000")
		for _, of := range []string{"host", "route"} {
			set("mta limit max-conn-per-%s 100", of)
		}
		for _, of := range []string{"source", "connector", "relay", "domain"} {
			set("mta limit max-conn-per-%s 200", of)
		}
		set("mta limit reconn-delay-route 0")
		for _, of := range []string{"host", "source", "connector", "relay", "domain"} {
			set("mta limit conn-delay-%s 0", of)
		}
		set("mta limit session-keepalive 10\nmta limit session-transaction-delay 0\nmta limit session-mail-max 100000")
		set("scheduler limit max-inflight 50000")
	}
	set("listen on 127.0.0.1 port %s hostname mta.bench.test%s", port(s.listen), tls)
	switch {
	case s.need.HopLMTP:
		set("action \"out\" relay host lmtp://%s", s.need.NextHop)
	case s.need.NextHop != "":
		set("action \"out\" relay host smtp://%s", s.need.NextHop)
	default:
		set("action \"out\" relay")
	}
	set("match from any for any action \"out\"")
	return b.String()
}

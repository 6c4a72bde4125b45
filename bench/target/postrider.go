package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// postrider is our own server.
type postrider struct {
	extra string // file with a piece of configuration
}

// deadHop is where mail goes while delivery is suspended: nothing listens at port
// 1, and a route whose hop refuses connections is tried once in a while by a
// single connection, without a change to any of the messages that wait for it.
const deadHop = "127.0.0.1:1"

func (t postrider) plan(ctx context.Context, o Options, n Need) (*plan, error) {
	binary, err := t.binary(o)
	if err != nil {
		return nil, err
	}
	version, err := output(ctx, binary, "--version")
	if err != nil {
		return nil, err
	}
	extra, err := t.read()
	if err != nil {
		return nil, err
	}
	addresses, err := loopback(4)
	if err != nil {
		return nil, err
	}
	s := postriderSettings{listen: addresses[0], need: n, extra: extra}
	p := &plan{smtp: addresses[0], data: filepath.Join(n.Dir, "data")}
	if n.Mailboxes > 0 {
		s.lmtp, s.pop3, s.imap = addresses[1], addresses[2], addresses[3]
		p.lmtp, p.pop3, p.imap = s.lmtp, s.pop3, s.imap
	}
	p.info.Version = lastWord(version)
	p.info.Config = s.text(n.Suspended)
	if p.info.Binary, err = hash(binary); err != nil {
		return nil, err
	}
	set := func(suspended bool) error {
		return write(n.Dir, []file{{"postrider.toml", s.text(suspended)}})
	}
	if err := set(n.Suspended); err != nil {
		return nil, err
	}
	config := filepath.Join(n.Dir, "postrider.toml")
	if _, err := output(ctx, binary, "check", "-c", config); err != nil {
		return nil, err
	}
	if n.Mailboxes > 0 || n.Auth {
		if err := postriderUsers(ctx, binary, config, n); err != nil {
			return nil, err
		}
	}
	p.argv = []string{binary, "run", "-c", config}
	admin := adminSocket(filepath.Join(p.data, "admin.sock"))
	p.queued = func(ctx context.Context, _ *running) (int64, error) {
		status, err := admin.status(ctx)
		return status.Ledger.Queued, err
	}
	p.reload = admin.reload
	p.resume = func(ctx context.Context, r *running) error {
		if err := set(false); err != nil {
			return err
		}
		return admin.reload(ctx, r)
	}
	return p, nil
}

// binary finds the program.
func (postrider) binary(o Options) (string, error) {
	candidates := []string{o.Postrider}
	if o.Postrider == "" {
		candidates = candidates[:0]
		if own, err := os.Executable(); err == nil {
			candidates = append(candidates, filepath.Join(filepath.Dir(own), "postrider"))
		}
		candidates = append(candidates, filepath.Join("bin", "postrider"))
	}
	for _, name := range candidates {
		if info, err := os.Stat(name); err == nil && !info.IsDir() {
			return filepath.Abs(name)
		}
	}
	return "", fmt.Errorf("postrider: %w at %s: make build makes it", ErrNotInstalled, strings.Join(candidates, " or "))
}

// read returns the piece of configuration that the user wants added.
func (t postrider) read() (string, error) {
	if t.extra == "" {
		return "", nil
	}
	text, err := os.ReadFile(t.extra)
	return string(text), err
}

// postriderSettings are what its configuration depends on.
type postriderSettings struct {
	listen           string
	lmtp, pop3, imap string // "": none
	need             Need
	extra            string
}

// text returns the configuration. Everything it does not mention is as the program
// has it by default.
func (s postriderSettings) text(suspended bool) string {
	var b strings.Builder
	tls := "off"
	if s.need.TLS {
		tls = "optional" // with a certificate that it makes for itself
	}
	fmt.Fprintf(&b, `version = 1
hostname = "mta.bench.test"
data_dir = "data"

[[listener]]
address = %q
service = "relay"
tls = %q

[relay]
max_message_size = %d
`, s.listen, tls, s.need.MaxMessage)
	b.WriteString(s.mailboxes(tls))
	hop := "mx"
	switch {
	case s.need.HopLMTP:
		hop = "lmtp:" + s.need.NextHop
	case s.need.NextHop != "":
		hop = "smtp:" + s.need.NextHop
	}
	if suspended {
		hop = "smtp:" + deadHop
	}
	if s.need.DNS != "" {
		fmt.Fprintf(&b, "\n[dns]\nservers = [%q]\n", s.need.DNS)
	}
	if s.need.NextHop == "" {
		fmt.Fprintf(&b, "\n[outbound]\nport = %d\nallow_private_targets = [\"127.0.0.0/8\"]\n", s.need.MXPort)
	}
	if s.need.RetryFirst > 0 {
		fmt.Fprintf(&b, "\n[queue]\nretry_min = %q\n", max(time.Second, s.need.RetryFirst).String()) // its least
	}
	b.WriteString("\n[bounce]\nper_victim = 1000000\n") // all notices go to the one sender of a load
	if s.extra != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(s.extra))
	}
	if s.need.Mailboxes > 0 {
		fmt.Fprintf(&b, "\n[[route]]\ndomain = %q\nnext_hop = \"local\"\n", s.need.MailboxDomain)
	}
	fmt.Fprintf(&b, "\n[[route]]\ndomain = \"*\"\nnext_hop = %q\n", hop)
	return b.String()
}

// lastWord returns the last word of a text: "postrider version 0.1.0".
func lastWord(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postrider/internal/mail"
)

// SystemFile is where the installed package has its configuration.
const SystemFile = "/etc/postrider/postrider.toml"

// FolderFile is the configuration of a run from a folder.
const FolderFile = "postrider.toml"

// Find returns the file to load when none is named: FolderFile in the current
// folder, else SystemFile, else "" for the built-in defaults. A file that exists
// but cannot be read is returned too, so that Load reports it.
func Find() string {
	for _, name := range []string{FolderFile, SystemFile} {
		if _, err := os.Stat(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return name
		}
	}
	return ""
}

// Default returns the built-in configuration: a relay for loopback clients on
// 127.0.0.1:2525 with its data in ./postrider-data.
func Default() *Config {
	c := defaults()
	c.resolve()
	return c
}

func defaults() *Config {
	return &Config{
		Version:   1,
		DataDir:   "postrider-data",
		Listeners: []Listener{{Address: "127.0.0.1:2525", Service: ServiceRelay, TLS: TLSOptional}},
		Relay: Relay{
			Networks:       []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			MaxMessageSize: 50e6,
			LineEndings:    "reject",
		},
		Submission: Submission{CheckSender: true},
		Local:      Local{Separator: "+", OverQuota: OverQuotaTemporary, Direct: true},
		Mailboxes:  Mailboxes{Segment: 64e6, Cache: 128e6},
		Users: Users{
			File: "users", Cache: hour, Delay: time.Second, MaxDelay: 15 * time.Second, ClearText: ClearTextLoopback,
			SQL:   SQL{Connections: 4, Timeout: 5 * time.Second},
			LDAP:  LDAP{StartTLS: true, Filter: "(mail={user})", Connections: 4, Timeout: 5 * time.Second},
			OAuth: OAuth{UserClaim: "email", Timeout: 5 * time.Second},
		},
		POP3:     POP3{Exclusive: true, Expire: -1},
		IMAP:     IMAP{IdleTimeout: 30 * minute, SessionsPerUser: 30, Compress: true, SpecialFolders: true},
		Queue:    Queue{Lifetime: 5 * day, RetryMin: 5 * minute, WarnAfter: 4 * hour, Memory: 64 * mib},
		Outbound: Outbound{Port: 25, Connections: 20, TotalConnections: 1000, ConnectionLifetime: 5 * minute, MessagesPerConnection: 1000},
		SRS:      SRS{MaxAge: 21 * day, HashLength: 6},
		Bounce:   Bounce{PerVictim: 50},
		Limits: Limits{
			ConnectionsPerClient: 50, Recipients: 1000, Header: 256 << 10, Hops: 100, JunkCommands: 100,
			CommandTimeout: 5 * minute, StressTimeout: 10 * time.Second, HandshakeTimeout: 10 * time.Second,
			DataRate: 500, DataGrace: 30 * time.Second, Drain: 30 * time.Second,
			LoginFailuresPerClient: 20, LoginFailuresPerNetwork: 200, LoginFailuresPerAccount: 100, LoginWindow: 15 * minute,
		},
		Admin: Admin{Socket: "admin.sock"},
		Log:   Log{Events: "events.jsonl", Level: "info", OnStall: "backpressure", Rotate: 256 * mib, MaxTotal: 8 * gib},
	}
}

// Load reads and checks a file; with path "" it returns Default. The error is
// an Errors with everything that is wrong. Of the files that the configuration
// names only those with secrets are read, and the users' is looked for.
func Load(path string) (*Config, error) {
	if path == "" {
		return Default(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, Errors{{File: path, Message: reason(err)}}
	}
	defer f.Close() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, Errors{{File: path, Message: reason(err)}}
	}
	return parseAll(path, text, readFiles)
}

// reason drops the file's name from an error that is shown beside it.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("cannot %s: %v", pe.Op, pe.Err)
	}
	return err.Error()
}

// Parse is Load for a text that was read from the file of that name, which
// relative paths start from. No file is opened: secrets stay empty.
func Parse(name string, text []byte) (*Config, error) {
	return parseAll(name, text, func(*decoder, *Config) {})
}

func parseAll(name string, text []byte, files func(*decoder, *Config)) (*Config, error) {
	r := &reporter{file: name, text: text}
	if len(text) > maxFileBytes {
		r.add(span{}, fmt.Sprintf("larger than %s", FormatSize(maxFileBytes)), "")
		return nil, r.errs
	}
	c := defaults()
	c.Path, c.Text = name, text
	base := filepath.Dir(name)
	// The defaults; a path in the file is resolved as it is read.
	c.DataDir, c.Users.File = resolve(base, c.DataDir), resolve(base, c.Users.File)
	d := &decoder{r: r, warn: &reporter{file: name, text: text}, base: base, at: map[string]span{}}
	root := parse(text, r)
	whole := len(r.errs) == 0 // else the version may stand behind what could not be read
	decodeRoot(d, c, root)
	if _, given := d.at["version"]; whole && !given {
		r.add(span{0, 1}, "no version is given", "write version = 1 above everything else")
	}
	if len(r.errs) == 0 {
		c.resolve()
	}
	check(d, c)
	files(d, c)
	if errs := r.sorted(); len(errs) > 0 {
		return nil, errs
	}
	c.Warnings = d.warn.sorted()
	return c, nil
}

func decodeRoot(d *decoder, c *Config, root *node) {
	sections := map[string]section{}
	for _, s := range schema() {
		sections[s.name] = s
	}
	top := topFields()
	d.fields("", root, func(name string, v *node) bool {
		if s, ok := sections[name]; ok && name != "" {
			s.decode(d, c, v)
			return true
		}
		d.path = ""
		return apply(d, top, c, name, v)
	}, docs(top))
}

// resolve fills in what depends on the machine or on other keys.
func (c *Config) resolve() {
	if c.Hostname == "" {
		c.Hostname = systemName()
	}
	c.Outbound.TotalConnections = max(c.Outbound.TotalConnections, c.Outbound.Connections)
	c.Admin.Socket = resolve(c.DataDir, c.Admin.Socket)
	if c.Log.Events != "-" {
		c.Log.Events = resolve(c.DataDir, c.Log.Events)
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		l.Network, l.Host = "tcp", l.Address
		if p, ok := strings.CutPrefix(l.Address, "unix:"); ok {
			l.Network, l.Host = "unix", resolve(c.DataDir, p)
		}
	}
	for i := range c.Routes {
		if c.Routes[i].Domain == "" {
			c.Routes[i].Domain = "*"
		}
		for _, h := range []*mail.Hop{&c.Routes[i].Hop, &c.Routes[i].Fallback} {
			if h.Network == "unix" {
				h.Address = resolve(c.DataDir, h.Address)
			}
		}
	}
}

// systemName is the machine's name when it can stand in a greeting, else
// "localhost".
func systemName() string {
	name, err := os.Hostname()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if err != nil || checkDomain(name) != nil || net.ParseIP(name) != nil {
		return "localhost"
	}
	return name
}

package config

import (
	"net/netip"
	"time"
)

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
	mib    = 1 << 20
	gib    = 1 << 30
)

// schema is every key there is, in the order of the documentation. It is built
// anew at each call: there is no shared state to change by accident.
func schema() []section {
	return []section{
		{name: "", doc: "", fields: docs(topFields()), decode: nil},
		listenerSection(), tlsSection(), relaySection(), submissionSection(), localSection(), mailboxesSection(),
		usersSection(), pop3Section(), imapSection(), autoconfigSection(), queueSection(), dnsSection(), outboundSection(), sourceSection(), routeSection(), policySection(), capSection(),
		aliasesSection(), srsSection(), bounceSection(), limitsSection(), adminSection(), logSection(),
	}
}

func topFields() []field[Config] {
	return []field[Config]{
		{"version", "integer", "", "1", "Version of the file's format. A file without it is refused, so that one that is still being written does not stand for the defaults.",
			number(func(c *Config) *int { return &c.Version }, 1, 1)},
		{"hostname", "string", "the system's name", "a host name", "Name given in greetings, in Received lines and in EHLO.",
			text(func(c *Config) *string { return &c.Hostname }, parseDomain)},
		{"data_dir", "path", `"postrider-data"`, "", "Folder of the queue and of everything else that is written. Relative to the configuration file's folder.",
			path(func(c *Config) *string { return &c.DataDir })},
	}
}

func listenerSection() section {
	return several("listener", "One address that takes connections. Without any: relay on 127.0.0.1:2525.",
		func(c *Config) *[]Listener { return &c.Listeners }, Listener{Service: ServiceRelay, TLS: TLSOptional},
		field[Listener]{"address", "string", "", "HOST:PORT, :PORT or unix:PATH", "Where to listen; port 0 is any that is free. A relative socket path starts from data_dir.",
			text(func(l *Listener) *string { return &l.Address }, parseListen)},
		field[Listener]{"service", "string", `"relay"`, "relay, submission, submissions, lmtp, pop3, pop3s, imap, imaps", "What is spoken there. relay is SMTP between servers; submission and submissions are SMTP for users, who must log in.",
			oneOf(func(l *Listener) *Service { return &l.Service }, ServiceRelay, ServiceSubmission, ServiceSubmissions,
				ServiceLMTP, ServicePOP3, ServicePOP3S, ServiceIMAP, ServiceIMAPS)},
		field[Listener]{"tls", "string", `"optional"`, "off, optional, required", "Whether STARTTLS (STLS in POP3) is offered, and whether mail and logins are refused without it. Services whose name ends in s are encrypted from the first byte whatever stands here.",
			oneOf(func(l *Listener) *TLSMode { return &l.TLS }, TLSOff, TLSOptional, TLSRequired)},
	)
}

func tlsSection() section {
	return single("tls", "The certificate shown to clients. Without one, a self-signed certificate is made at start.",
		func(c *Config) *TLS { return &c.TLS },
		field[TLS]{"certificate", "path", `""`, "", "PEM file with the certificate and its chain.",
			path(func(t *TLS) *string { return &t.Certificate })},
		field[TLS]{"key", "path", `""`, "", "PEM file with its private key.",
			path(func(t *TLS) *string { return &t.Key })},
	)
}

func relaySection() section {
	return single("relay", "Whom mail is taken from. Anyone else may write only to `relay.domains` and `local.domains`.",
		func(c *Config) *Relay { return &c.Relay },
		field[Relay]{"networks", "list of networks", `["127.0.0.0/8", "::1/128"]`, "addresses and ADDRESS/BITS; see below", "Clients that may relay to anywhere without a login. They are exempt from limits.connections_per_client.",
			list(func(r *Relay) *[]netip.Prefix { return &r.Networks }, parsePrefix)},
		field[Relay]{"domains", "list of domains", "[]", "whole domains", "Domains that mail is relayed to for anyone (a backup MX).",
			list(func(r *Relay) *[]string { return &r.Domains }, parseDomain)},
		field[Relay]{"max_message_size", "size", `"50MB"`, "1KiB to 2GiB", "Largest message text that is accepted; announced in EHLO.",
			size(func(r *Relay) *int64 { return &r.MaxMessageSize }, 1<<10, 2*gib)},
		field[Relay]{"line_endings", "string", `"reject"`, "reject, normalize", "What is done with a message that holds a bare CR or a bare LF: refuse it with 550 5.6.11, or turn each into CR LF.",
			oneOf(func(r *Relay) *string { return &r.LineEndings }, "reject", "normalize")},
	)
}

func queueSection() section {
	return single("queue", "How long and how often delivery is tried, and the room for it.",
		func(c *Config) *Queue { return &c.Queue },
		field[Queue]{"lifetime", "duration", `"5d"`, "1m to 60d", "How long a recipient is tried before it fails.",
			duration(func(q *Queue) *time.Duration { return &q.Lifetime }, minute, 60*day)},
		field[Queue]{"retry_min", "duration", `"5m"`, "1s to 1d", "Time to the first retry; each further one comes 1.7 times later, at most 1h while the message is younger than 24h, then at most 4h.",
			duration(func(q *Queue) *time.Duration { return &q.RetryMin }, time.Second, day)},
		field[Queue]{"warn_after", "duration", `"4h"`, "0 to 60d", "When the sender is told that a message is late, once; 0: never.",
			duration(func(q *Queue) *time.Duration { return &q.WarnAfter }, 0, 60*day)},
		field[Queue]{"reserve", "size", "0", "0 to 1TiB", "Disk kept free: below it mail is refused with 452. 0: the smaller of 256 MiB and 2% of the disk, plus the hot spool (8 segments of 64 MiB, together at most an eighth of the disk, at least 8 MiB) and 8 MiB, but at most a quarter of the disk.",
			size(func(q *Queue) *int64 { return &q.Reserve }, 0, 1024*gib)},
		field[Queue]{"memory", "size", `"64MiB"`, "1MiB to 64GiB", "Message texts in memory: those that are being received, up to 256 KiB of each, and those that wait for their first attempt, which are given up first and read back from the disk. Above it mail is refused with 452.",
			size(func(q *Queue) *int64 { return &q.Memory }, mib, 64*gib)},
	)
}

func dnsSection() section {
	return single("dns", "Resolvers.",
		func(c *Config) *DNS { return &c.DNS },
		field[DNS]{"servers", "list of addresses", "the system's resolvers", "ADDRESS or ADDRESS:PORT", "Resolvers that are asked. Their word that records are authentic is believed of one on loopback only.",
			list(func(s *DNS) *[]string { return &s.Servers }, parseServer)},
	)
}

func limitsSection() section {
	of := func(c *Config) *Limits { return &c.Limits }
	return single("limits", "What one client, and all together, may take. At a limit the reply is temporary (421, 452) unless it says otherwise.",
		of,
		field[Limits]{"connections_per_client", "integer", "50", "1 to 1000000", "Connections from one IPv4 address or one IPv6 /64; clients in relay.networks are exempt.",
			number(func(l *Limits) *int { return &l.ConnectionsPerClient }, 1, 1e6)},
		field[Limits]{"connections", "integer", "0", "0 to 1000000", "Connections of all clients; 0: three quarters of the descriptors that the process may open (`ulimit -n`), but at least 4096 are kept for deliveries and files, or half of them where there are fewer than 8192.",
			number(func(l *Limits) *int { return &l.Connections }, 0, 1e6)},
		field[Limits]{"recipients", "integer", "1000", "100 to 100000", "Recipients of one message: more get 452 4.5.3 each (RFC 5321 section 4.5.3.1.8 asks for at least 100).",
			number(func(l *Limits) *int { return &l.Recipients }, 100, 100000)},
		field[Limits]{"header", "size", `"256KiB"`, "64KiB to 16MiB", "Header of a message: more gets 552.",
			size(func(l *Limits) *int64 { return &l.Header }, 64<<10, 16*mib)},
		field[Limits]{"hops", "integer", "100", "10 to 1000", "Received lines of a message: more gets 554 5.4.6, it is in a loop.",
			number(func(l *Limits) *int { return &l.Hops }, 10, 1000)},
		field[Limits]{"junk_commands", "integer", "100", "10 to 1000000", "Commands of one session that bring no mail forward (NOOP, RSET, unknown ones ...) before it is closed with 421.",
			number(func(l *Limits) *int { return &l.JunkCommands }, 10, 1e6)},
		field[Limits]{"login_failures_per_client", "integer", "20", "1 to 1000000", "Failed logins from one IPv4 address or one IPv6 /64 within login_window, over all protocols: above it logins from there are refused unheard.",
			number(func(l *Limits) *int { return &l.LoginFailuresPerClient }, 1, 1e6)},
		field[Limits]{"login_failures_per_network", "integer", "200", "1 to 1000000", "The same for one IPv4 /24 or one IPv6 /48.",
			number(func(l *Limits) *int { return &l.LoginFailuresPerNetwork }, 1, 1e6)},
		field[Limits]{"login_failures_per_account", "integer", "100", "1 to 1000000", "The same for one user's name, from wherever they come: above it only clients that the user has logged in from before are heard.",
			number(func(l *Limits) *int { return &l.LoginFailuresPerAccount }, 1, 1e6)},
		field[Limits]{"login_window", "duration", `"15m"`, "1m to 1d", "Time that failed logins are counted in.",
			duration(func(l *Limits) *time.Duration { return &l.LoginWindow }, minute, day)},
		field[Limits]{"command_timeout", "duration", `"5m"`, "1s to 1h", "Time a client has for its next command (RFC 5321 section 4.5.3.2.7 asks for at least 5m).",
			duration(func(l *Limits) *time.Duration { return &l.CommandTimeout }, time.Second, hour)},
		field[Limits]{"stress_timeout", "duration", `"10s"`, "1s to 1h", "The same while nine of ten `connections` are open.",
			duration(func(l *Limits) *time.Duration { return &l.StressTimeout }, time.Second, hour)},
		field[Limits]{"handshake_timeout", "duration", `"10s"`, "1s to 5m", "Time a TLS handshake may take.",
			duration(func(l *Limits) *time.Duration { return &l.HandshakeTimeout }, time.Second, 5*minute)},
		field[Limits]{"data_rate", "size", "500", "0 to 1GiB", "Bytes a second that a message text must come with, once data_grace is over; 0: any.",
			size(func(l *Limits) *int64 { return &l.DataRate }, 0, gib)},
		field[Limits]{"data_grace", "duration", `"30s"`, "1s to 1h", "Time before data_rate is asked for.",
			duration(func(l *Limits) *time.Duration { return &l.DataGrace }, time.Second, hour)},
		field[Limits]{"drain", "duration", `"30s"`, "0 to 1h", "Time that messages being received and delivered have to end when the daemon is told to stop.",
			duration(func(l *Limits) *time.Duration { return &l.Drain }, 0, hour)},
	)
}

func adminSection() section {
	return single("admin", "The operator's interface: commands, metrics, health.",
		func(c *Config) *Admin { return &c.Admin },
		field[Admin]{"socket", "path", `"admin.sock"`, "", "Unix socket, mode 0600. Relative to data_dir, with it at most 107 bytes; empty: none.",
			text(func(a *Admin) *string { return &a.Socket }, parseFileName)},
		field[Admin]{"http", "string", `""`, "HOST:PORT", "Also serve HTTP there; empty: not. Beyond loopback it needs tls and token_file.",
			text(func(a *Admin) *string { return &a.HTTP }, parseListenHTTP)},
		field[Admin]{"tls", "boolean", "false", "", "Serve that HTTP over TLS with the certificate of [tls].",
			boolean(func(a *Admin) *bool { return &a.TLS })},
		field[Admin]{"token_file", "path", `""`, "", "File whose first line every request over TCP must carry as `Authorization: Bearer`.",
			path(func(a *Admin) *string { return &a.TokenFile })},
	)
}

func logSection() section {
	return single("log", "The event log (one JSON line an event, see events.md) and diagnostics.",
		func(c *Config) *Log { return &c.Log },
		field[Log]{"events", "path", `"events.jsonl"`, "", "File of the event log, relative to data_dir; `-` is the standard output.",
			text(func(l *Log) *string { return &l.Events }, parseFileName)},
		field[Log]{"level", "string", `"info"`, "debug, info, warn, error", "Least level of diagnostics, which go to the standard error. Events have no level.",
			oneOf(func(l *Log) *string { return &l.Level }, "debug", "info", "warn", "error")},
		field[Log]{"on_stall", "string", `"backpressure"`, "backpressure, drop_count", "What happens when the log cannot be written as fast as events come: wait, or drop lines and count them.",
			oneOf(func(l *Log) *string { return &l.OnStall }, "backpressure", "drop_count")},
		field[Log]{"rotate", "size", `"256MiB"`, "0 to 1TiB", "Size at which the file is renamed and a new one begun, at most a quarter of what `max_total` comes to; 0: never.",
			size(func(l *Log) *int64 { return &l.Rotate }, 0, 1024*gib)},
		field[Log]{"keep", "integer", "0", "0 to 100000", "Renamed files that are kept; 0: any number.",
			number(func(l *Log) *int { return &l.Keep }, 0, 100000)},
		field[Log]{"max_total", "size", `"8GiB"`, "0 to 1PiB", "Bytes of all event files together, at most an eighth of their disk: the oldest are removed above it; 0: no bound.",
			size(func(l *Log) *int64 { return &l.MaxTotal }, 0, 1<<50)},
		field[Log]{"sessions", "boolean", "false", "", "Also write session_open and session_close.",
			boolean(func(l *Log) *bool { return &l.Sessions })},
	)
}

package config

import (
	"net/netip"
	"strings"
	"time"

	"postrider/internal/mail"
)

func outboundSection() section {
	return single("outbound", "How mail leaves.",
		func(c *Config) *Outbound { return &c.Outbound },
		field[Outbound]{"port", "integer", "25", "1 to 65535", "Port that an MX is reached at.",
			number(func(o *Outbound) *int { return &o.Port }, 1, 65535)},
		field[Outbound]{"allow_private_targets", "list of networks", "[]", "addresses and ADDRESS/BITS", "Loopback and private networks that an MX may point into. An explicit next_hop may be anywhere.",
			list(func(o *Outbound) *[]netip.Prefix { return &o.AllowPrivateTargets }, parsePrefix)},
		field[Outbound]{"own_addresses", "list of addresses", "[]", "addresses", "Addresses by which the world reaches this system, beside those of its interfaces: an MX that points to one of them is a loop.",
			list(func(o *Outbound) *[]netip.Addr { return &o.OwnAddresses }, parseAddr)},
		field[Outbound]{"connections", "integer", "20", "1 to 10000", "Connections to one destination at the same time, at most.",
			number(func(o *Outbound) *int { return &o.Connections }, 1, 10000)},
		field[Outbound]{"total_connections", "integer", "1000", "1 to 100000", "Connections to all destinations together; raised to `connections` when only that is given.",
			number(func(o *Outbound) *int { return &o.TotalConnections }, 1, 100000)},
		field[Outbound]{"connection_lifetime", "duration", `"5m"`, "1s to 1d", "An outbound connection carries no further message after this time.",
			duration(func(o *Outbound) *time.Duration { return &o.ConnectionLifetime }, time.Second, day)},
		field[Outbound]{"messages_per_connection", "integer", "1000", "1 to 1000000", "Messages that one connection carries, at most.",
			number(func(o *Outbound) *int { return &o.MessagesPerConnection }, 1, 1e6)},
		field[Outbound]{"replies_file", "path", `""`, "", "Rules that say what a server's reply means; empty: the built-in ones. Read again by a reload.",
			path(func(o *Outbound) *string { return &o.RepliesFile })},
		field[Outbound]{"providers_file", "path", `""`, "", "What is known of the large mailbox providers; empty: the built-in file. Read again by a reload.",
			path(func(o *Outbound) *string { return &o.ProvidersFile })},
	)
}

func sourceSection() section {
	return several("source", "An address that mail leaves from, with the name that belongs to it. Without any, the system chooses the address and `hostname` is the name. "+
		"Each message has its source by its id, the shares by weight, and keeps it over all its attempts; when the source cannot be used at a destination, only its share moves to the others of the pool.",
		func(c *Config) *[]Source { return &c.Sources }, Source{Pool: DefaultPool, Weight: 1},
		field[Source]{"name", "string", "", "letters, digits, - _ .", "Name in the log, in [[limit]] and in routes.",
			text(func(s *Source) *string { return &s.Name }, parseName)},
		field[Source]{"pool", "string", `"default"`, "letters, digits, - _ .", "Pool that it belongs to. Mail whose route names no pool leaves from the pool `default`.",
			text(func(s *Source) *string { return &s.Pool }, parseName)},
		field[Source]{"address", "string", `""`, "an IPv4 address", "Local address of connections to IPv4 hosts.",
			addr(func(s *Source) *netip.Addr { return &s.Address }, netip.Addr.Is4, "an IPv4 address")},
		field[Source]{"address6", "string", `""`, "an IPv6 address", "Local address of connections to IPv6 hosts. A source that has one address only is used for hosts of that family only.",
			addr(func(s *Source) *netip.Addr { return &s.Address6 }, netip.Addr.Is6, "an IPv6 address")},
		field[Source]{"hello", "string", "the host name", "a host name", "Name in EHLO. It should resolve to the addresses and they to it: a start warns when they do not.",
			text(func(s *Source) *string { return &s.Hello }, parseDomain)},
		field[Source]{"weight", "integer", "1", "0 to 1000", "Share of the pool's messages; 0: only when no other source can be used.",
			number(func(s *Source) *int { return &s.Weight }, 0, 1000)},
	)
}

func routeSection() section {
	return several("route", "Where recipients go. A route is used when all the conditions it has are met; the first match wins. Without one, local domains go to `local` and others to `mx`. "+
		"What `sender`, `user` and `client` say is found out when a message is accepted and kept with it; a reload does not change it, but what the route does with it.",
		func(c *Config) *[]Route { return &c.Routes }, Route{FallbackAfter: 5},
		field[Route]{"domain", "string", `"*"`, `a domain, ".suffix" or "*"`, "Recipient domains that the route is for. `.suffix` matches every domain below it, not the suffix itself. A route without it needs another condition.",
			text(func(r *Route) *string { return &r.Domain }, parseRouteDomain)},
		field[Route]{"sender", "string", `""`, `an address, a domain, ".suffix" or "<>"`, "Senders that it is for; `<>` is the null sender, of bounces.",
			text(func(r *Route) *string { return &r.Sender }, parseSender)},
		field[Route]{"user", "string", `""`, `a user, "@domain" or "*"`, "Logged-in users that it is for; `*`: whoever has logged in.",
			text(func(r *Route) *string { return &r.User }, parseUser)},
		field[Route]{"client", "string", `""`, "an address or ADDRESS/BITS", "Clients that it is for.",
			network(func(r *Route) *netip.Prefix { return &r.Client })},
		field[Route]{"next_hop", "string", "", hopForms, "Where they go. A relative socket path starts from data_dir. `local` is a mailbox here.",
			hop(func(r *Route) *hopText { return (*hopText)(&r.Hop) })},
		field[Route]{"pool", "string", `"default"`, "a pool, or a source", "Sources that the mail leaves from.",
			text(func(r *Route) *string { return &r.Pool }, parseName)},
		field[Route]{"fallback", "string", `""`, hopForms, "Next hop of what could not be delivered in `fallback_after` attempts; empty: none. For `mx` and `smtp:` routes; it may be mx, smtp:, lmtp: or hold.",
			hop(func(r *Route) *hopText { return (*hopText)(&r.Fallback) })},
		field[Route]{"fallback_after", "integer", "5", "1 to 1000", "Attempts before the fallback.",
			number(func(r *Route) *int { return &r.FallbackAfter }, 1, 1000)},
		field[Route]{"username", "string", `""`, "", "Name for AUTH at the next hop; needs password_file. The login is only sent over TLS, unless `tls` is none.",
			text(func(r *Route) *string { return &r.Username }, nil)},
		field[Route]{"password_file", "path", `""`, "", "File whose first line is the password. Nobody but its owner and group may have access to it. Read again by a reload.",
			path(func(r *Route) *string { return &r.PasswordFile })},
		field[Route]{"tls", "string", `""`, "none, may, encrypt, verify", "Encryption of the connections of this route; empty: as [[tls_policy]] says.",
			oneOf(func(r *Route) *string { return &r.TLS }, "none", "may", "encrypt", "verify")},
	)
}

func policySection() section {
	return several("tls_policy", "The encryption that connections for some domains must have. The most exact domain wins, whatever the order: the domain, then the longest `.suffix`, then `*`. "+
		"It is looked up for the recipient's domain where a route leads to `mx`, before domains that share servers are joined, so that it concerns its own domain only, and for the host of an `smtp:` next hop.",
		func(c *Config) *[]TLSPolicy { return &c.Policies }, TLSPolicy{},
		field[TLSPolicy]{"domain", "string", "", `a domain, ".suffix" or "*"`, "Recipient domains, or host of a next hop.",
			text(func(p *TLSPolicy) *string { return &p.Domain }, parseRouteDomain)},
		field[TLSPolicy]{"level", "string", "", strings.Join(levelWords(), ", "), "none: never encrypted. may: when the server can, as without a policy. encrypt: always, with whatever certificate. verify: always, with a certificate of a known authority. fingerprint: always, with one of the certificates named.",
			level(func(p *TLSPolicy) *mail.TLSLevel { return &p.Level })},
		field[TLSPolicy]{"names", "list of names", "[]", `host names and ".suffix"`, "With verify: the certificate is good for one of these names, or one below a suffix; none: for the name of the host that is reached.",
			list(func(p *TLSPolicy) *[]string { return &p.Names }, parseCertName)},
		field[TLSPolicy]{"fingerprints", "list of strings", "[]", "SHA-256 in hexadecimal", "With fingerprint: the certificate, or its public key, has one of these.",
			list(func(p *TLSPolicy) *[][32]byte { return &p.Fingerprints }, parseFingerprint)},
	)
}

func capSection() section {
	return several("limit", "An upper bound for one destination, for a provider's destinations together, or for one source. What is learned from a destination's replies stays below it.",
		func(c *Config) *[]Cap { return &c.Caps }, Cap{},
		field[Cap]{"site", "string", `""`, "as `postrider queue show` names it", "Destination that the bound is for: the name of a set of MX hosts, or a next hop.",
			text(func(l *Cap) *string { return &l.Site }, parseSite)},
		field[Cap]{"provider", "string", `""`, "a name of the providers file", "Provider that it is for.",
			text(func(l *Cap) *string { return &l.Provider }, parseName)},
		field[Cap]{"source", "string", `""`, "a name of a [[source]]", "Source that it is for.",
			text(func(l *Cap) *string { return &l.Source }, parseName)},
		field[Cap]{"connections", "integer", "0", "0 to 100000", "Connections at the same time; 0: no bound.",
			number(func(l *Cap) *int { return &l.Connections }, 0, 100000)},
		field[Cap]{"connects", "rate", `""`, "NUMBER/s, /m, /h or /d", "Connections opened in a time.",
			rate(func(l *Cap) *float64 { return &l.ConnectsPerSecond })},
		field[Cap]{"messages", "rate", `""`, "NUMBER/s, /m, /h or /d", "Messages in a time.",
			rate(func(l *Cap) *float64 { return &l.MessagesPerSecond })},
		field[Cap]{"messages_per_connection", "integer", "0", "0 to 1000000", "Messages that one connection carries; 0: as [outbound] says.",
			number(func(l *Cap) *int { return &l.MessagesPerConnection }, 0, 1e6)},
		field[Cap]{"recipients_per_transaction", "integer", "0", "0 to 1000", "Recipients of one transaction; 0: 100.",
			number(func(l *Cap) *int { return &l.RecipientsPerTransaction }, 0, 1000)},
	)
}

func aliasesSection() section {
	return single("aliases", "Addresses that stand for others. See below for the file.",
		func(c *Config) *Aliases { return &c.Aliases },
		field[Aliases]{"file", "path", `""`, "", "File of the aliases; empty: none. A change of it is taken up by itself; of a file with an error the old state stays.",
			path(func(a *Aliases) *string { return &a.File })},
	)
}

func srsSection() section {
	return single("srs", "The Sender Rewriting Scheme: mail that an alias forwards to elsewhere leaves with a sender of `domain`, so that the receiver's SPF check passes, and bounces to it find their way back.",
		func(c *Config) *SRS { return &c.SRS },
		field[SRS]{"domain", "string", `""`, "a domain", "Domain of rewritten senders, whose MX is this system; empty: senders stay as they are.",
			text(func(s *SRS) *string { return &s.Domain }, parseDomainOrNone)},
		field[SRS]{"secret_file", "path", `""`, "", "File with secrets, one a line, each of 16 characters or more. The first one signs, all are good for what comes back: a new one is put above the old one, which stays for max_age. Nobody but its owner and group may have access to it. Read again by a reload.",
			path(func(s *SRS) *string { return &s.SecretFile })},
		field[SRS]{"max_age", "duration", `"21d"`, "1d to 500d", "How long a rewritten sender is good.",
			duration(func(s *SRS) *time.Duration { return &s.MaxAge }, day, 500*day)},
		field[SRS]{"hash_length", "integer", "6", "4 to 20", "Characters of the signature. Others that share the secrets must use the same number.",
			number(func(s *SRS) *int { return &s.HashLength }, 4, 20)},
	)
}

func bounceSection() section {
	return single("bounce", "Notices to senders.",
		func(c *Config) *Bounce { return &c.Bounce },
		field[Bounce]{"templates", "path", `""`, "", "Folder of texts that take the place of the built-in ones.",
			path(func(b *Bounce) *string { return &b.Templates })},
		field[Bounce]{"per_victim", "integer", "50", "0 to 1000000", "Notices to one address within an hour: what is above is not sent but logged, since its sender was likely forged; 0: any number.",
			number(func(b *Bounce) *int { return &b.PerVictim }, 0, 1e6)},
		field[Bounce]{"pool", "string", `""`, "a pool, or a source", "Sources that notices leave from, so that backscatter which slips through does not cost the others their name; empty: as the routes say.",
			text(func(b *Bounce) *string { return &b.Pool }, nil)},
	)
}

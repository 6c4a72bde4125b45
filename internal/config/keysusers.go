package config

import "time"

func submissionSection() section {
	return single("submission", "Mail of users who have logged in. At the services submission and submissions nobody else is heard, a missing Date, Message-ID and From are added, and bare line ends are mended.",
		func(c *Config) *Submission { return &c.Submission },
		field[Submission]{"check_sender", "boolean", "true", "", "MAIL FROM, and From, Sender, Resent-From and Resent-Sender in the header, must be addresses of the login: its own, with or without `+folder`, or what its entry names. The null sender is always allowed. It holds at submission and submissions, and at relay for clients that relay.networks does not hold.",
			boolean(func(s *Submission) *bool { return &s.CheckSender })},
		field[Submission]{"hide_client", "boolean", "false", "", "Leave the client's name and address out of the Received line. The log has them.",
			boolean(func(s *Submission) *bool { return &s.HideClient })},
	)
}

func localSection() section {
	return single("local", "What is delivered into mailboxes here.",
		func(c *Config) *Local { return &c.Local },
		field[Local]{"domains", "list of domains", "[]", "whole domains", "Domains whose mail is delivered here, unless a route says otherwise. A user's name without a domain is of the first one.",
			list(func(l *Local) *[]string { return &l.Domains }, parseDomain)},
		field[Local]{"postmaster", "string", `""`, "an address", "Where mail to a bare `<postmaster>` goes; empty: held and logged.",
			text(func(l *Local) *string { return &l.Postmaster }, parseMailbox)},
		field[Local]{"separator", "string", `"+"`, "one of + - = _ # or empty", "What stands between a user and a folder in an address; empty: nothing does.",
			oneOf(func(l *Local) *string { return &l.Separator }, "+", "-", "=", "_", "#", "")},
		field[Local]{"quota", "size", `"0"`, "0 to 1PiB", "Bytes that a user's mail may have, unless the entry of the user says otherwise; 0: any number.",
			size(func(l *Local) *int64 { return &l.Quota }, 0, 1<<50)},
		field[Local]{"quota_messages", "integer", "0", "0 to 1000000000", "Messages that a user may have, unless the entry says otherwise; 0: any number.",
			number(func(l *Local) *int64 { return &l.QuotaMessages }, 0, 1e9)},
		field[Local]{"over_quota", "string", `"temporary"`, "temporary, permanent", "What a recipient without room gets: 452 4.2.2, so that the mail waits, or 552 5.2.2.",
			oneOf(func(l *Local) *string { return &l.OverQuota }, OverQuotaTemporary, OverQuotaPermanent)},
		field[Local]{"direct", "boolean", "true", "", "Mail whose recipients are all users here goes straight into their mailboxes, without a stay in the queue. It is as safe either way.",
			boolean(func(l *Local) *bool { return &l.Direct })},
	)
}

func mailboxesSection() section {
	return single("mailboxes", "The store of the mail, in `data_dir/mailboxes`.",
		func(c *Config) *Mailboxes { return &c.Mailboxes },
		field[Mailboxes]{"segment", "size", `"64MB"`, "1MiB to 1GiB", "Size of one file of the log that holds the mail.",
			size(func(m *Mailboxes) *int64 { return &m.Segment }, mib, gib)},
		field[Mailboxes]{"cache", "size", `"128MB"`, "1MiB to 64GiB", "Memory for the index.",
			size(func(m *Mailboxes) *int64 { return &m.Cache }, mib, 64*gib)},
		field[Mailboxes]{"reserve", "size", "0", "0 to 1TiB", "Disk kept free: below it mail waits, or is refused with 452. 0: as for `queue.reserve`.",
			size(func(m *Mailboxes) *int64 { return &m.Reserve }, 0, 1024*gib)},
	)
}

func usersSection() section {
	return single("users", "Users of SMTP AUTH, IMAP and POP3, and owners of mailboxes. They are looked for in the file, then in [users.sql], then in [users.ldap].",
		func(c *Config) *Users { return &c.Users },
		field[Users]{"file", "path", `"users"`, "", "File of the users, written by `postrider user`; one that does not exist has none. A change of it is taken up by itself. Empty: no file.",
			path(func(u *Users) *string { return &u.File })},
		field[Users]{"cache", "duration", `"1h"`, "0 to 1d", "How long a password that was right is not hashed again; a changed entry ends it at once. 0: each login is hashed.",
			duration(func(u *Users) *time.Duration { return &u.Cache }, 0, day)},
		field[Users]{"cores", "integer", "0", "0 to 1024", "Passwords hashed at the same time; 0: one on every second core.",
			number(func(u *Users) *int { return &u.Cores }, 0, 1024)},
		field[Users]{"delay", "duration", `"1s"`, "0 to 1m", "How long the answer to a failed login is held back. It doubles with each further failure of the client.",
			duration(func(u *Users) *time.Duration { return &u.Delay }, 0, minute)},
		field[Users]{"max_delay", "duration", `"15s"`, "0 to 5m", "The longest such delay.",
			duration(func(u *Users) *time.Duration { return &u.MaxDelay }, 0, 5*minute)},
		field[Users]{"clear_text", "string", `"loopback"`, "never, loopback, always", "Who may send a password without TLS, at listeners whose `tls` is off: nobody, clients on this machine, or all (for a proxy in front that ends TLS). Where `tls` is optional or required nobody may.",
			oneOf(func(u *Users) *string { return &u.ClearText }, ClearTextNever, ClearTextLoopback, ClearTextAlways)},
	).with(sqlSection(), ldapSection(), oauthSection())
}

func sqlSection() section {
	return single("users.sql", "A PostgreSQL database of users.",
		func(c *Config) *SQL { return &c.Users.SQL },
		field[SQL]{"url_file", "path", `""`, "", "File whose first line is the URL, `postgres://USER:PASSWORD@HOST/DATABASE`. Nobody but its owner and group may have access to it. Empty: no database.",
			path(func(s *SQL) *string { return &s.URLFile })},
		field[SQL]{"query", "string", `""`, "one SELECT with $1", "Query for one user, whose name is $1.",
			text(func(s *SQL) *string { return &s.Query }, nil)},
		field[SQL]{"connections", "integer", "4", "1 to 1000", "Connections to the database.",
			number(func(s *SQL) *int { return &s.Connections }, 1, 1000)},
		field[SQL]{"timeout", "duration", `"5s"`, "10ms to 1m", "Time for an answer; then the login fails for now.",
			duration(func(s *SQL) *time.Duration { return &s.Timeout }, 10*time.Millisecond, minute)},
	)
}

func ldapSection() section {
	return single("users.ldap", "An LDAP directory of users. Passwords are checked by binding as the user.",
		func(c *Config) *LDAP { return &c.Users.LDAP },
		field[LDAP]{"url", "string", `""`, "ldap://HOST, ldaps://HOST or ldapi://PATH", "The server; empty: no directory.",
			text(func(l *LDAP) *string { return &l.URL }, parseURL("ldap", "ldaps", "ldapi"))},
		field[LDAP]{"start_tls", "boolean", "true", "", "Encrypt the connection of an `ldap:` URL.",
			boolean(func(l *LDAP) *bool { return &l.StartTLS })},
		field[LDAP]{"tls_ca", "path", `""`, "", "PEM file with the authorities that the server's certificate may be of; empty: the system's.",
			path(func(l *LDAP) *string { return &l.TLSCA })},
		field[LDAP]{"base", "string", `""`, "a DN", "Where users are looked for.",
			text(func(l *LDAP) *string { return &l.Base }, nil)},
		field[LDAP]{"filter", "string", `"(mail={user})"`, "a filter with {user}", "How one user is found. The name is escaped.",
			text(func(l *LDAP) *string { return &l.Filter }, parseFilter)},
		field[LDAP]{"bind_dn", "string", `""`, "a DN", "Who looks for them; empty: nobody in particular.",
			text(func(l *LDAP) *string { return &l.BindDN }, nil)},
		field[LDAP]{"bind_password_file", "path", `""`, "", "File whose first line is the password of bind_dn. Nobody but its owner and group may have access to it.",
			path(func(l *LDAP) *string { return &l.BindPasswordFile })},
		field[LDAP]{"name_attribute", "string", `""`, "", "Attribute with the address that is the account, for filters that find a user by other addresses, too; empty: each address that is found is an account.",
			text(func(l *LDAP) *string { return &l.NameAttribute }, nil)},
		field[LDAP]{"senders_attribute", "string", `""`, "", "Attribute with what a user may send as besides: addresses, with or without `smtp:` before them, or `@domain`; empty: nothing.",
			text(func(l *LDAP) *string { return &l.SendersAttribute }, nil)},
		field[LDAP]{"quota_attribute", "string", `""`, "", "Attribute with the quota in bytes; empty: that of `[local]`.",
			text(func(l *LDAP) *string { return &l.QuotaAttribute }, nil)},
		field[LDAP]{"disabled_attribute", "string", `""`, "", "Attribute that is TRUE for users who may not log in; empty: all may.",
			text(func(l *LDAP) *string { return &l.OffAttribute }, nil)},
		field[LDAP]{"connections", "integer", "4", "1 to 1000", "Connections to the server.",
			number(func(l *LDAP) *int { return &l.Connections }, 1, 1000)},
		field[LDAP]{"timeout", "duration", `"5s"`, "10ms to 1m", "Time for an answer; then the login fails for now.",
			duration(func(l *LDAP) *time.Duration { return &l.Timeout }, 10*time.Millisecond, minute)},
	)
}

func oauthSection() section {
	return single("users.oauth", "Bearer tokens instead of passwords, by OAUTHBEARER and XOAUTH2. Tokens are checked with the keys of jwks_url (or of what the issuer tells), else by asking introspection_url.",
		func(c *Config) *OAuth { return &c.Users.OAuth },
		field[OAuth]{"issuer", "string", `""`, "an https: URL", "Who issues them; tokens that name another issuer are refused. Needed unless introspection_url is given.",
			text(func(o *OAuth) *string { return &o.Issuer }, parseURL("https", "http"))},
		field[OAuth]{"jwks_url", "string", `""`, "an https: URL", "The issuer's keys; empty: where the issuer says (OpenID Connect Discovery).",
			text(func(o *OAuth) *string { return &o.JWKSURL }, parseURL("https", "http"))},
		field[OAuth]{"introspection_url", "string", `""`, "an https: URL", "Whom to ask about a token (RFC 7662).",
			text(func(o *OAuth) *string { return &o.IntrospectionURL }, parseURL("https", "http"))},
		field[OAuth]{"audience", "string", `""`, "", "Whom a token must be meant for. Needed unless introspection_url is given; empty: anyone.",
			text(func(o *OAuth) *string { return &o.Audience }, nil)},
		field[OAuth]{"user_claim", "string", `"email"`, "", "Claim that names the user.",
			text(func(o *OAuth) *string { return &o.UserClaim }, nil)},
		field[OAuth]{"client_id", "string", `""`, "", "Our name at introspection_url.",
			text(func(o *OAuth) *string { return &o.ClientID }, nil)},
		field[OAuth]{"client_secret_file", "path", `""`, "", "File whose first line is the secret that goes with it. Nobody but its owner and group may have access to it.",
			path(func(o *OAuth) *string { return &o.ClientSecretFile })},
		field[OAuth]{"timeout", "duration", `"5s"`, "10ms to 1m", "Time for an answer; then the login fails for now.",
			duration(func(o *OAuth) *time.Duration { return &o.Timeout }, 10*time.Millisecond, minute)},
	)
}

func pop3Section() section {
	return single("pop3", "Fetching mail by POP3.",
		func(c *Config) *POP3 { return &c.POP3 },
		field[POP3]{"exclusive", "boolean", "true", "", "One session at a time for a mailbox (RFC 1939 section 4); false: any number, each with its own view.",
			boolean(func(p *POP3) *bool { return &p.Exclusive })},
		field[POP3]{"login_delay", "duration", `"0s"`, "0 to 1d", "Least time between two logins of a user, announced as LOGIN-DELAY.",
			duration(func(p *POP3) *time.Duration { return &p.LoginDelay }, 0, day)},
		field[POP3]{"expire", "string", `"never"`, "never, or 0d to 3650d", "What is announced as EXPIRE (RFC 2449 section 6.7): the days that the site keeps mail.",
			days(func(p *POP3) *int { return &p.Expire })},
	)
}

func autoconfigSection() section {
	return single("autoconfig", "Settings for mail programs: one public path over HTTP, `/mail/config-v1.1.xml`.",
		func(c *Config) *Autoconfig { return &c.Autoconfig },
		field[Autoconfig]{"address", "string", `""`, "HOST:PORT", "Where to listen; empty: not.",
			text(func(a *Autoconfig) *string { return &a.Address }, parseListenHTTP)},
	)
}

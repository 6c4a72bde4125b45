package auth

import (
	"crypto/tls"
	"net/netip"
	"runtime"
	"time"
)

// Options make an Authenticator. Zero values mean what each field says.
type Options struct {
	// Databases are asked in this order; the first that knows a name decides.
	Databases []Database
	// Tokens checks OAuth tokens; nil: OAUTHBEARER and XOAUTH2 are not offered.
	Tokens TokenChecker
	// Domain is added to bare names: the first local domain. Empty: they stay bare.
	Domain string
	// Secret returns the installation's own, under which app passwords are digested
	// and salts of unknown users are made. nil, or when it returns nothing: app
	// passwords never fit, and such salts change with each start.
	Secret func() []byte
	// Cores is how many slow hashes are computed at a time; 0: half of the cores, at
	// least one.
	Cores int
	// Waiting is how many attempts may wait for that, and as many again of users from
	// addresses that they logged in from before, who come first; beyond it
	// ErrUnavailable is returned. 0: 20,000.
	Waiting int
	// Cache is how long a good login is remembered; 0: one hour, negative: not.
	Cache time.Duration
	// CacheEntries bounds what is remembered; 0: 200,000 (about 20 MB).
	CacheEntries int
	// Limits slow down those who guess.
	Limits Limits
	// Observe is called once for each attempt, good or bad, on the goroutine of the
	// attempt; nil: nobody looks.
	Observe func(*Outcome)
}

// Limits say how many failed logins are borne. Each is a bucket: so many at once,
// then one more each interval. A negative burst switches a limit off.
type Limits struct {
	// PerAddress is for one address, a /64 in IPv6; 0: 20, then one each 30 s.
	PerAddress Allowance
	// PerNetwork is for a /24, a /48 in IPv6; 0: 100, then one each 10 s.
	PerNetwork Allowance
	// PerAccount is for one account from all addresses that it never logged in from;
	// 0: 50, then one each minute.
	PerAccount Allowance
	// PerKnown is for one account from one address that it did log in from before,
	// which the three above do not touch; 0: 20, then one each 30 s.
	PerKnown Allowance
	// Delay is how long the answer to the third failure in a row of an address or an
	// account is held back; each further one doubles it, up to MaxDelay. 0: 500 ms
	// and 8 s; negative: none.
	Delay, MaxDelay time.Duration
	// Delayed is how many answers may be held back at a time; beyond it such
	// attempts are answered ErrThrottled at once. 0: 5,000.
	Delayed int
	// Entries bounds each table; 0: 100,000. The ones longest unused go first.
	Entries int
}

// Allowance is a bucket of failures.
type Allowance struct {
	Burst    int
	Interval time.Duration
}

// Attempt is where a login comes from.
type Attempt struct {
	Protocol string // "smtp", "pop3", "imap": the scopes of app passwords
	Client   netip.Addr
	Session  uint64
	// TLS says that the connection is encrypted.
	TLS bool
	// Clear says that this listener takes passwords without TLS from this client.
	Clear bool
	// Binding is the state of the TLS connection, for SCRAM-SHA-256-PLUS; nil: not
	// offered.
	Binding *tls.ConnectionState
}

func (o *Options) fill() {
	if o.Cores <= 0 {
		o.Cores = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Waiting <= 0 {
		o.Waiting = 20_000
	}
	if o.Cache == 0 {
		o.Cache = time.Hour
	}
	if o.CacheEntries <= 0 {
		o.CacheEntries = 200_000
	}
	o.Limits.fill()
}

func (l *Limits) fill() {
	for _, d := range [...]struct {
		a *Allowance
		v Allowance
	}{
		{&l.PerAddress, Allowance{20, 30 * time.Second}},
		{&l.PerNetwork, Allowance{100, 10 * time.Second}},
		{&l.PerAccount, Allowance{50, time.Minute}},
		{&l.PerKnown, Allowance{20, 30 * time.Second}},
	} {
		if d.a.Burst == 0 {
			d.a.Burst = d.v.Burst
		}
		if d.a.Interval <= 0 {
			d.a.Interval = d.v.Interval
		}
	}
	if l.Delay == 0 {
		l.Delay = 500 * time.Millisecond
	}
	if l.MaxDelay <= 0 {
		l.MaxDelay = 8 * time.Second
	}
	if l.Delayed <= 0 {
		l.Delayed = 5_000
	}
	if l.Entries <= 0 {
		l.Entries = 100_000
	}
}

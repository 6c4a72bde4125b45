// Package target starts mail servers to be measured, ours and other people's, and
// steers them: each in a scratch folder, on loopback, with a configuration made
// for the purpose, in a control group of its own.
//
// Parse turns what a user writes ("postfix:isp") into a Target, Start makes an
// Instance of it. A Target only knows how a program is set up; everything that is
// measured is asked of it from outside: its Meter counts what its processes use,
// Queued asks its own tools what it still has, and the ledger of the run decides
// what it lost.
//
// # The servers
//
//   - postrider: the sibling of the running program. "postrider:FILE" appends a
//     piece of configuration.
//   - postfix: Debian's configuration with other ports and paths. "postfix:isp"
//     is set up for volume; see postfixISP for what that changes.
//   - exim, exim:isp, opensmtpd, opensmtpd:isp: likewise. Their packages conflict
//     with Postfix's, so they run from an unpacked root (Options.PeerRoot), which
//     bench/peers makes.
//   - dovecot: LMTP, POP3 and IMAP on Maildirs.
//   - gosmtp: a relay made of go-smtp that keeps mail in memory: a reference for
//     what a simple design in the same language costs.
//   - direct: no server. Its SMTP address is the next hop, so that a run measures
//     the harness: the ceiling.
//   - external: a server that somebody else runs; see ParseExternal.
//
// # What is not fair by itself
//
// All servers log as they do by default, into the scratch folder. Servers that can
// only ask the system's resolver run in a mount namespace in which
// /etc/resolv.conf names Need.DNS. The folder decides which disk is measured.
// OpenSMTPD by default takes 100 messages from a connection: load must give each
// connection no more, or choose the profile.
//
// # Concurrency
//
// A Target is safe for concurrent use. Of an Instance, Queued, Meter, PIDs and the
// addresses may be used by any goroutine at any time; the calls that change its
// state (Kill, Restart, Reload, Resume, Stop) must not overlap. Each instance owns
// a goroutine that waits for its process; it has ended when Stop returns.
package target

import (
	"context"
	"errors"
	"time"

	"postrider/bench/cost"
	"postrider/bench/result"
)

// Target is a kind of server that can be started.
type Target interface {
	// Name is what Parse was given.
	Name() string
	// Start sets a server up in need.Dir, starts it and returns when it answers on
	// all its addresses. The caller must Stop what it returns.
	Start(ctx context.Context, need Need) (Instance, error)
}

// Need is what a scenario wants of a server. A server that cannot do a part of it
// says so with an error that wraps ErrUnsupported. Every server takes mail from
// loopback for any domain.
type Need struct {
	Dir     string // scratch, exists, empty; on the disk to be measured; must be given
	NextHop string // HOST:PORT that all mail goes to; "": by DNS
	HopLMTP bool   // the next hop speaks LMTP, as Dovecot's mailboxes do
	DNS     string // ADDRESS or ADDRESS:PORT of the resolver to use; "": the system's
	MXPort  int    // port that an MX is reached at; 0: 25

	Suspended  bool          // accept, but deliver nothing before Resume
	RetryFirst time.Duration // time to the first retry; 0: the server's own
	MaxMessage int64         // bytes of a text that must be taken; 0: 50 MB
	Conns      int           // connections that will come at once; 0: 100

	// SlowSync is added to each fsync and fdatasync, by strace; 0: nothing. It slows
	// no other call by more than some microseconds, but strace runs in the server's
	// group and is counted with it.
	SlowSync time.Duration

	Mailboxes     int    // POP3 and IMAP users, LMTP recipients: u0@MailboxDomain and on
	MailboxDomain string // "": "mail.bench.test"
	Password      string // of all users; "": "secret"
	SlowHash      bool   // passwords are stored as the server does it by itself, not in a form that is quick to check

	TLS  bool // offer STARTTLS or STLS with a certificate made for it
	Auth bool // offer AUTH PLAIN and LOGIN with the users above, without asking for TLS
}

// Instance is a server that runs.
type Instance interface {
	// Info is what goes into the result: version, configuration, binary.
	Info() result.Target
	// SMTP, LMTP, POP3 and IMAP are addresses, "" when it has none.
	SMTP() string
	LMTP() string
	POP3() string
	IMAP() string
	// Meter reads what all its processes use. It is never nil; that of a server
	// whose processes are not known fails with ErrUnsupported.
	Meter() cost.Meter
	// PIDs are its processes now; none when they are not known.
	PIDs() []int
	// Queued asks the server how many duties (recipients of messages) it has not
	// ended.
	Queued(ctx context.Context) (int64, error)
	// Kill ends all its processes with SIGKILL and waits until they are gone. What
	// is on the disk stays.
	Kill(ctx context.Context) error
	// Restart starts it again on the same data and addresses; a server that still
	// runs is first told to end.
	Restart(ctx context.Context) error
	// Reload lets it read its configuration again, as an operator would.
	Reload(ctx context.Context) error
	// Resume begins to deliver after Need.Suspended.
	Resume(ctx context.Context) error
	// Stop ends it and everything that belongs to it; the scratch folder stays.
	Stop(ctx context.Context) error
	// DataDir is where its queue or its mailboxes are; "" when not known.
	DataDir() string
}

// ErrUnsupported says that a server cannot do what was asked of it.
var ErrUnsupported = errors.New("not supported by this target")

// ErrNotInstalled says that a program is missing; the error that wraps it names
// the Debian package to install.
var ErrNotInstalled = errors.New("not installed")

// Options say where programs are. The zero value is right for a Debian system.
type Options struct {
	// Postrider is the binary; "": "postrider" beside the running program, else
	// bin/postrider.
	Postrider string
	// PeerRoot has a folder for each unpacked package, as bench/peers makes it. "":
	// what POSTBENCH_PEERS says, else ".peers".
	PeerRoot string
	// Reference is the command line that runs Reference. nil: this program with
	// the argument "reference".
	Reference []string
	// IOwnThisNetwork allows external servers whose addresses are neither loopback
	// nor private.
	IOwnThisNetwork bool
	// CPUs are the processors that servers may use, as taskset takes them: "1" or
	// "2-5,8"; "": all that this process may.
	CPUs string
	// NoGroup measures by process tree even where a control group could be made.
	NoGroup bool
}

// withDefaults returns n with its zero values replaced.
func (n Need) withDefaults() Need {
	if n.MXPort == 0 {
		n.MXPort = 25
	}
	if n.MaxMessage == 0 {
		n.MaxMessage = 50_000_000
	}
	if n.Conns == 0 {
		n.Conns = 100
	}
	if n.MailboxDomain == "" {
		n.MailboxDomain = "mail.bench.test"
	}
	if n.Password == "" {
		n.Password = "secret"
	}
	return n
}

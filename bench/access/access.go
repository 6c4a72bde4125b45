// Package access puts the loads of mail readers on a POP3 or IMAP server and
// checks every answer against a model of the mailbox.
//
// A Bench knows a number of mailboxes. Fill delivers messages into them by LMTP;
// Run then plays one workload with many sessions at once:
//
//   - poll: log in, look whether there is something new (STAT and UIDL, or
//     STATUS), log out;
//   - download: log in by POP3, UIDL, RETR and DELE of each message, QUIT;
//   - idle: connections stay in IDLE, messages are delivered to them, and the time
//     until EXISTS comes is taken;
//   - sync: a client with a cache, which selects, fetches the flags of what it
//     knows and the UIDs and texts of what is new, changes flags, expunges;
//   - webmail: log in, select, fetch a page of envelopes, a body structure, a
//     text, mark it as seen, search for what is unseen, log out.
//
// Check looks at each mailbox once more, which tells after a crash of the server
// whether all that was delivered is there and all that was deleted stays deleted.
//
// # What is checked
//
// A mailbox belongs to one session at a time, so its state is known: which
// messages are there and in which order, under which UID or UIDL, of which size,
// with which flags and whole or not (each text carries its number and the hash of
// its body). An answer that contradicts this, or that cannot be read, is a
// violation. A refusal or a broken connection is an error; what it leaves open
// (was the QUIT that nobody answered carried out?) is learned from the next
// answer instead of held against it. After a violation the model follows the
// server, so that each is counted once.
//
// # Time
//
// Without a rate each connection begins its next session when the one before has
// ended (a closed loop). With a rate sessions are due at moments of a Poisson
// process, and the latencies of LOGIN and SESSION count from the moment at which
// the session was due: a server that stalls is not spared the waiting of those
// that it kept from coming.
//
// # Concurrency
//
// Fill, Run and Check belong to one caller, one at a time; the model is kept
// between them. They return when every goroutine of theirs has ended. Live may be
// asked by anybody meanwhile.
package access

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Workload is what the sessions of a Run do.
type Workload string

// The workloads.
const (
	Poll     Workload = "poll"
	Download Workload = "download"
	Idle     Workload = "idle"
	Sync     Workload = "sync"
	Webmail  Workload = "webmail"
)

// TLSMode says when connections to POP3 and IMAP are protected.
type TLSMode string

// The modes.
const (
	TLSNone     TLSMode = "none"
	TLSStart    TLSMode = "starttls" // by STLS or STARTTLS
	TLSImplicit TLSMode = "implicit"
)

// Options say what a Bench does. Addresses are HOST:PORT or unix:PATH.
type Options struct {
	POP3 string // needed for download, and for poll unless IMAP is given
	IMAP string // needed for idle, sync and webmail
	LMTP string // where mail is delivered; needed for Fill and Arrivals
	SMTP string // for idle alone, without LMTP: mail goes this way, through a queue

	Workload Workload
	Protocol string // of poll and Check: "pop3" or "imap"; "": pop3 if POP3 is given

	Users         int    // mailboxes; 0: 1
	FirstUser     int    // number of the first
	UserFormat    string // login name by number; "": "u%d@bench.test"
	AddressFormat string // address by number; "": UserFormat
	Password      string

	Conns    int           // sessions at once, at most Users; 0: 1
	Duration time.Duration // after which no session begins; 0: Sessions decides
	Sessions int64         // in all, deliveries for idle; 0: no limit
	Rate     float64       // sessions a second, Poisson; 0: closed loop
	Think    time.Duration // pause between the sessions of a connection in a closed loop

	Size       int // of a message in octets, at least 512; 0: 4096
	Arrivals   int // messages delivered to a mailbox between its sessions; 0: 1 if LMTP is given, for download none; below 0: none
	Deliverers int // connections that deliver; 0: 4, for idle with a rate 32
	Page       int // envelopes of a webmail page; 0: 20
	Keep       int // messages above which sync expunges the oldest; 0: 50

	Seed      uint64
	TLS       TLSMode       // "": none
	TLSConfig *tls.Config   // nil: any certificate is taken, sessions are resumed
	Timeout   time.Duration // for a connection, an answer, and for EXISTS after a delivery; 0: 60 s
}

// ErrOptions reports options that make no sense.
var ErrOptions = errors.New("access: bad options")

// Bench plays workloads. See the package comment.
type Bench struct {
	o     Options
	boxes []*mailbox
	tls   *tls.Config
	runs  uint64 // calls of Run and Check, so that each has randomness of its own
	live  live
}

// New checks o and returns a Bench that knows nothing of the mailboxes yet: what
// is in them is learned at the first look.
func New(o Options) (*Bench, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &Bench{o: o, tls: o.TLSConfig}
	if b.tls == nil {
		b.tls = &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(o.Users)}
	}
	for i := range o.Users {
		n := o.FirstUser + i
		b.boxes = append(b.boxes, newMailbox(n, userName(o.UserFormat, n), userName(o.AddressFormat, n)))
	}
	return b, nil
}

func userName(format string, n int) string {
	if strings.Contains(format, "%d") {
		return fmt.Sprintf(format, n)
	}
	return format
}

func (o Options) withDefaults() Options {
	o.Users, o.Conns = max(1, o.Users), max(1, o.Conns)
	o.UserFormat = cmp.Or(o.UserFormat, "u%d@bench.test")
	o.AddressFormat = cmp.Or(o.AddressFormat, o.UserFormat)
	o.Size, o.Page, o.Keep = cmp.Or(o.Size, 4096), cmp.Or(o.Page, 20), cmp.Or(o.Keep, 50)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.TLS = cmp.Or(o.TLS, TLSNone)
	if o.Deliverers == 0 {
		o.Deliverers = 4
		if o.Workload == Idle && o.Rate > 0 {
			o.Deliverers = 32
		}
	}
	if o.Arrivals == 0 && o.LMTP != "" && o.Workload != Download {
		o.Arrivals = 1
	}
	o.Arrivals = max(0, o.Arrivals)
	if o.Protocol == "" {
		switch {
		case o.Workload == Download, o.Workload == Poll && o.POP3 != "":
			o.Protocol = pop3Name
		default:
			o.Protocol = imapName
		}
	}
	return o
}

const (
	pop3Name = "pop3"
	imapName = "imap"
)

// check wants o with its defaults.
func (o Options) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrOptions, fmt.Sprintf(format, args...))
	}
	switch o.Workload {
	case Poll:
	case Download:
		if o.Protocol != pop3Name {
			return bad("download is by pop3")
		}
	case Idle, Sync, Webmail:
		if o.Protocol != imapName {
			return bad("%s is by imap", o.Workload)
		}
	default:
		return bad("unknown workload %q", o.Workload)
	}
	switch o.Protocol {
	case pop3Name:
		if o.POP3 == "" {
			return bad("no address for pop3")
		}
	case imapName:
		if o.IMAP == "" {
			return bad("no address for imap")
		}
	default:
		return bad("unknown protocol %q", o.Protocol)
	}
	switch o.TLS {
	case TLSNone, TLSStart, TLSImplicit:
	default:
		return bad("unknown TLS mode %q", o.TLS)
	}
	switch {
	case o.Conns > o.Users:
		return bad("%d sessions at once need as many mailboxes, there are %d", o.Conns, o.Users)
	case o.Users > 1 && !strings.Contains(o.UserFormat, "%d"):
		return bad("user format %q has no %%d", o.UserFormat)
	case o.Workload == Idle && o.LMTP == "" && o.SMTP == "":
		return bad("idle needs lmtp or smtp to deliver by")
	case o.Arrivals > 0 && o.LMTP == "" && o.Workload != Idle:
		return bad("arrivals need lmtp")
	case o.Size < 512 || o.Rate < 0 || o.Deliverers < 0 || o.Page < 0 || o.Keep < 0 || o.FirstUser < 0 || o.Sessions < 0 || o.Duration < 0:
		return bad("a number is out of range")
	}
	return nil
}

// random returns a stream of its own for each worker of each run.
func (b *Bench) random(stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(b.o.Seed, b.runs<<32|stream))
}

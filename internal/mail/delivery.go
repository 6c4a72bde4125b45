package mail

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"
)

// ErrCorrupt is returned by a body's reader, in the place of io.EOF, when the
// stored bytes do not match their checksum: nothing of it may be finished.
var ErrCorrupt = errors.New("message body does not match its checksum")

// Body is the text of a stored message: CRLF lines, not dot-stuffed.
type Body interface {
	io.ReaderAt
	// Size is the length in bytes.
	Size() int64
	// Bytes returns the whole text when it is in memory, else nil. It is valid
	// until the delivery that carries the body is done.
	Bytes() []byte
	// Reader reads from the start and verifies: the read that would report
	// io.EOF reports ErrCorrupt instead when the checksum does not match.
	Reader() io.Reader
}

// Hop is where a recipient goes next, resolved from a route.
type Hop struct {
	Kind    HopKind
	Network string // "tcp" or "unix", for HopSMTP and HopLMTP
	Address string // host:port or socket path, for HopSMTP and HopLMTP
}

// HopKind names what is done with a recipient.
type HopKind uint8

// The kinds of next hop. The zero value is no hop at all.
const (
	HopNone    HopKind = iota
	HopMX              // resolve the domain's MX records
	HopSMTP            // a named SMTP server
	HopLMTP            // a named LMTP server (RFC 2033)
	HopLocal           // the local delivery agent
	HopHold            // keep it in the queue until an operator says otherwise
	HopDiscard         // take it and drop it
	HopReject          // refuse it at RCPT
)

// String returns the hop as the configuration writes it; it is also the name of
// the lane in which its recipients wait.
func (h Hop) String() string {
	switch h.Kind {
	case HopMX:
		return "mx"
	case HopSMTP, HopLMTP:
		p := "smtp:"
		if h.Kind == HopLMTP {
			p = "lmtp:"
		}
		if h.Network == "unix" {
			p += "unix:"
		}
		return p + h.Address
	case HopLocal:
		return "local"
	case HopHold:
		return "hold"
	case HopDiscard:
		return "discard"
	case HopReject:
		return "reject"
	}
	return "none"
}

// Delivery is one attempt to hand one message to one hop for some of its
// recipients. A transport gets it from a Source, sets every outcome and gives it
// back with Done; from then on it must not touch it.
type Delivery struct {
	Envelope   *Envelope // shared and read-only
	Recipients []int     // indexes into Envelope.Recipients
	Body       Body
	Outcomes   []Status // one for each of Recipients; the zero Status until set
	// Commands are what the outcomes answered, one for each of Recipients; CommandNone
	// where nobody answered or it is not known.
	Commands []Command
	// Sender is the reverse-path to give; it differs from the envelope's where mail
	// is forwarded for somebody.
	Sender []byte

	// What the transport learned on the way, for the log.
	Remote  Remote
	Timings Timings
	// DotSent says that the end of the message was written, so that without a
	// reply the outcome is unknown and a repeat may be a duplicate.
	DotSent bool
	// Broken is what broke the conversation off before all outcomes were known: those
	// that it gives are ours, not a server's. ClassNone: nothing did.
	Broken Class
	// Corrupt says that the body did not match its checksum (ErrCorrupt).
	Corrupt bool

	text []byte
}

// Remote describes the server that took or refused a delivery.
type Remote struct {
	Host    string // as dialled, or the name of the mail exchanger
	Addr    netip.AddrPort
	Source  string // name of the source that the connection comes from
	Session uint64 // id of the outbound connection
	Reused  bool   // the connection had carried a delivery before
	DSN     bool   // the server takes over the duty to notify (RFC 3461)

	TLS        string // protocol version, empty in clear
	Cipher     string
	TLSPolicy  string // what was wanted, in the words of TLSLevel
	TLSVerdict string // what was got: "verified", "untrusted", "clear", "downgraded"
}

// Timings split an attempt's time.
type Timings struct {
	DNS, Connect, TLS, SMTP, Data time.Duration
}

// Prepare readies d for an attempt at n recipients, keeping its memory.
func (d *Delivery) Prepare(n int) {
	*d = Delivery{Recipients: d.Recipients[:0], Outcomes: d.Outcomes[:0], Commands: d.Commands[:0], text: d.text[:0]}
	for range n {
		d.Outcomes = append(d.Outcomes, Status{})
		d.Commands = append(d.Commands, CommandNone)
	}
}

// Answered is Set for what a server said to a command.
func (d *Delivery) Answered(i int, s Status, c Command) {
	d.Set(i, s)
	if i < len(d.Commands) { // who does without Prepare does without them
		d.Commands[i] = c
	}
}

// Set records the outcome of d.Recipients[i]; the text is copied. Control bytes
// in it are replaced by spaces, since it came from a stranger.
func (d *Delivery) Set(i int, s Status) {
	n := len(d.text)
	d.text = append(d.text, s.Text...)
	t := d.text[n:len(d.text):len(d.text)]
	for j, c := range t {
		if c < ' ' || c == 0x7f {
			t[j] = ' '
		}
	}
	s.Text = t
	d.Outcomes[i] = s
}

// SetRest records s for every recipient that has no outcome yet.
func (d *Delivery) SetRest(s Status) {
	for i := range d.Outcomes {
		if d.Outcomes[i].IsZero() {
			d.Set(i, s)
		}
	}
}

// Source hands a transport the deliveries of one lane.
type Source interface {
	// Next returns the next delivery. When none is ready it waits until one is,
	// ctx ends or wait has passed, and then returns nil; wait 0 does not block.
	Next(ctx context.Context, wait time.Duration) *Delivery
	// Done takes back a delivery whose outcomes are all set.
	Done(d *Delivery)
}

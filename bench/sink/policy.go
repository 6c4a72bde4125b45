package sink

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Site is how some of the domains of a Farm behave.
type Site struct {
	// Name is that of the policy in reports; "": Domains.
	Name string `toml:"name,omitempty"`
	// Domains says which; of several sites the first that fits a domain counts.
	Domains DomainSet `toml:"domains"`
	// Shared makes one provider of all its domains: one address and one set of
	// limits. Else each domain is a destination of its own.
	Shared bool `toml:"shared,omitempty"`
	Policy
}

// Policy is the behaviour of a destination. The zero value takes everything at
// once.
//
// What a destination does to connections needs an address of its own to be true to
// life. Behind an address for all it begins at the first recipient of the domain.
type Policy struct {
	// Latency is waited before the reply to each verb.
	Latency Latencies `toml:"latency,omitzero"`
	// Tarpit is the time between the bytes of replies.
	Tarpit Duration `toml:"tarpit,omitempty"`
	// Blackhole takes connections and never says a word.
	Blackhole bool `toml:"blackhole,omitempty"`
	// Reset ends connections at once, with RST.
	Reset bool `toml:"reset,omitempty"`
	// Down are times in which connections are reset, new ones and old ones.
	Down []Window `toml:"down,omitempty"`

	// Reply refuses a share of the cases at a verb; the first that fires counts.
	Reply []Reply `toml:"reply,omitempty"`
	// Greylist answers 451 until so much time has passed since the same client,
	// sender and recipient came first.
	Greylist Duration `toml:"greylist,omitempty"`
	// DropBefore cuts the connection for a share of the texts when they have been
	// read, and takes none of them.
	DropBefore Share `toml:"drop_before_end,omitempty"`
	// DropAfter cuts the connection for a share of the texts when they have been
	// taken: the 250 is lost, and the message will come again.
	DropAfter Share `toml:"drop_after_end,omitempty"`
	// AddressReplies lets an address choose the reply to RCPT:
	// "450-4.2.1-try-later@..." is answered "450 4.2.1 try later".
	AddressReplies bool `toml:"address_replies,omitempty"`

	Limits Limits `toml:"limits,omitzero"`

	TLS          TLSMode `toml:"tls,omitempty"`
	TLSRequired  bool    `toml:"tls_required,omitempty"` // 530 before STARTTLS
	NoPipelining bool    `toml:"no_pipelining,omitempty"`
	NoChunking   bool    `toml:"no_chunking,omitempty"`
}

// Limits are what a destination allows; 0 is no limit. Going beyond one is refused
// with a 4xx reply (a size with a 552), and all but the size are counted as
// violations.
type Limits struct {
	Connections int     `toml:"connections,omitempty"`             // open at once
	Rate        float64 `toml:"rate,omitempty"`                    // messages a second
	Burst       float64 `toml:"burst,omitempty"`                   // messages at once beyond the rate; 0: those of a second
	Messages    int     `toml:"messages_per_connection,omitempty"` // transactions
	Recipients  int     `toml:"recipients,omitempty"`              // of a message
	Size        int64   `toml:"size,omitempty"`                    // bytes of a text
	// Announce states the messages of a connection and the recipients in the reply to
	// EHLO (RFC 9422).
	Announce bool `toml:"announce,omitempty"`
}

// line is what stands in the reply to EHLO, "" when nothing is announced.
func (l *Limits) line() string {
	if !l.Announce || l.Messages <= 0 && l.Recipients <= 0 {
		return ""
	}
	line := "LIMITS"
	if l.Messages > 0 {
		line += " MAILMAX=" + strconv.Itoa(l.Messages)
	}
	if l.Recipients > 0 {
		line += " RCPTMAX=" + strconv.Itoa(l.Recipients)
	}
	return line
}

// Latencies are times before replies.
type Latencies struct {
	Connect Delay `toml:"connect,omitzero"` // the greeting
	Hello   Delay `toml:"hello,omitzero"`
	Mail    Delay `toml:"mail,omitzero"`
	Rcpt    Delay `toml:"rcpt,omitzero"`
	Data    Delay `toml:"data,omitzero"`
	End     Delay `toml:"end,omitzero"` // the end of the text
}

// Reply is what a share of the cases at a verb gets.
type Reply struct {
	At    Stage  `toml:"at"`              // connect, hello, mail, rcpt, data or end
	Share Share  `toml:"share,omitempty"` // spread evenly; 0: all
	Text  string `toml:"text"`            // "451 4.7.1 try again later"
}

// TLSMode is what a destination offers by STARTTLS.
type TLSMode uint8

// The modes.
const (
	TLSNone       TLSMode = iota // "none": nothing
	TLSGood                      // "good": a certificate of the farm's authority, for the name asked for
	TLSExpired                   // "expired": the same, out of date
	TLSWrongName                 // "wrongname": the same, for another name
	TLSSelfSigned                // "selfsigned": a certificate of nobody
	TLSOld                       // "old": TLS 1.0 only
	TLSBroken                    // "broken": a handshake that fails
	tlsModes
)

var tlsNames = [tlsModes]string{"none", "good", "expired", "wrongname", "selfsigned", "old", "broken"}

// UnmarshalText reads a mode.
func (m *TLSMode) UnmarshalText(text []byte) error {
	for i, name := range tlsNames {
		if name == string(text) {
			*m = TLSMode(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no TLS mode: %s", text, strings.Join(tlsNames[:], ", "))
}

// MarshalText writes a mode.
func (m TLSMode) MarshalText() ([]byte, error) {
	if m >= tlsModes {
		return nil, errors.New("no such TLS mode")
	}
	return []byte(tlsNames[m]), nil
}

// UnmarshalText reads the name of a stage.
func (s *Stage) UnmarshalText(text []byte) error {
	for at, name := range stageNames {
		if strings.EqualFold(name, string(text)) {
			*s = Stage(at)
			return nil
		}
	}
	return fmt.Errorf("%q is no stage: connect, hello, mail, rcpt, data or end", text)
}

// MarshalText writes the name of a stage.
func (s Stage) MarshalText() ([]byte, error) {
	if s >= stages {
		return nil, errors.New("no such stage")
	}
	return []byte(stageNames[s]), nil
}

// needsAddress reports whether the behaviour begins before a recipient is known.
func (p *Policy) needsAddress() bool {
	l := &p.Latency
	if p.Tarpit > 0 || p.Blackhole || p.Reset || len(p.Down) > 0 || l.Connect.text != "" || l.Hello.text != "" || l.Mail.text != "" ||
		p.Limits.Connections > 0 || p.Limits.Size > 0 || p.TLS != TLSNone || p.TLSRequired || p.NoPipelining || p.NoChunking {
		return true
	}
	for _, r := range p.Reply {
		if r.At <= AtMail {
			return true
		}
	}
	return false
}

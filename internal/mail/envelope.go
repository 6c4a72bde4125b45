// Package mail is the vocabulary that all trees of postrider share: a message's
// id and envelope, its recipients, how each attempt ended, and where a recipient
// goes next. It does no I/O and imports nothing of the project.
//
// Byte slices in these types alias an arena of the value that holds them and are
// valid until that value is reset or released; keeping one means copying it.
//
// # Concurrency
//
// Nothing here locks. An Envelope is written by one goroutine until its message
// is committed and is read-only from then on.
package mail

import "net/netip"

// Notify says when a sender wants to hear of a recipient (RFC 3461 section 4.1).
// The zero value means that no NOTIFY was given.
type Notify uint8

// The values of NOTIFY; NotifyNever excludes the others.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// Return is the RET parameter of MAIL (RFC 3461 section 4.3).
type Return uint8

// The values of RET.
const (
	ReturnUnset Return = iota
	ReturnFull
	ReturnHeaders
)

// Envelope is what travels with a message beside its text: who sent it, who
// shall get it, and the facts of the session that brought it.
type Envelope struct {
	ID           ID
	ArrivedMicro int64  // when the message was accepted, Unix microseconds
	Sender       []byte // canonical reverse-path without brackets; empty is the null sender
	Recipients   []Recipient
	SizeBytes    int64 // the message text as stored, our own Received line included

	EightBit   bool   // BODY=8BITMIME (RFC 6152)
	SMTPUTF8   bool   // RFC 6531
	RequireTLS bool   // REQUIRETLS was asked for (RFC 8689)
	TLSWaived  bool   // "TLS-Required: No" (RFC 8689 section 5)
	Foreign    bool   // from a client that may not relay: nobody answers for its sender's address
	Return     Return // RET (RFC 3461)
	EnvelopeID []byte // ENVID as sent, still in xtext (RFC 3461 section 4.4)

	Client   netip.Addr // address of the peer; the zero value when it came by a unix socket
	Helo     []byte     // name given in EHLO, HELO or LHLO
	Session  uint64     // id of the receiving session
	Listener []byte     // address of the listener, as configured
	Protocol []byte     // the "with" keyword of RFC 3848: ESMTP, ESMTPS, LMTP ...
	TLS      []byte     // protocol version when the session was encrypted, else empty
	User     []byte     // authenticated user, else empty

	arena []byte
}

// Recipient is one duty of an envelope. Its index in Envelope.Recipients is its
// lasting number (the event log's rid is that index plus one).
type Recipient struct {
	Address []byte // canonical forward-path without brackets
	Notify  Notify // NOTIFY (RFC 3461)
	// Forwarded says that the address stands for one here, whose mail is sent on:
	// the sender is rewritten on the way out.
	Forwarded bool
	Original  []byte // ORCPT as sent: "rfc822;" and xtext; empty when not given
}

// Keep copies b into the envelope's arena and returns the copy.
func (e *Envelope) Keep(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	n := len(e.arena)
	e.arena = append(e.arena, b...)
	return e.arena[n:len(e.arena):len(e.arena)]
}

// KeepString is Keep for a string.
func (e *Envelope) KeepString(s string) []byte {
	if s == "" {
		return nil
	}
	n := len(e.arena)
	e.arena = append(e.arena, s...)
	return e.arena[n:len(e.arena):len(e.arena)]
}

// AddRecipient appends a recipient, copying its address and original address.
func (e *Envelope) AddRecipient(address []byte, notify Notify, original []byte) {
	e.Recipients = append(e.Recipients, Recipient{
		Address:  e.Keep(address),
		Notify:   notify,
		Original: e.Keep(original),
	})
}

// Reset empties e and keeps its memory for the next message. Slices handed out
// before are no longer valid.
func (e *Envelope) Reset() {
	clear(e.Recipients)
	*e = Envelope{Recipients: e.Recipients[:0], arena: e.arena[:0]}
}

// Retained returns how many bytes of memory a Reset envelope would hold on to,
// so that pools can drop the rare big one.
func (e *Envelope) Retained() int { return cap(e.arena) + cap(e.Recipients)*56 }

// DomainOf returns the part of a canonical address after its last "@", or nil.
func DomainOf(address []byte) []byte {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return nil
}

// Package record is the written form of what the queue keeps in its spool: how
// messages, settlements and operators' actions are laid out as the payloads of
// records. It does no I/O.
//
// Encoders append to a buffer of the caller and never fail; parsers check every
// length before they believe it, return ErrMalformed for what this software
// cannot have written and ErrVersion for what a newer one has, and never panic.
// Parsed slices alias the bytes that were parsed and live as long as those.
//
// # Concurrency
//
// Everything here is a function of its arguments.
//
// # Format
//
// docs/formats.md of the repository describes every layout, field by field. Each
// begins with a version byte, and integers in fixed fields are little endian. The
// checksums are those of the spool's framing (package frame).
package record

import "postrider/internal/spool/frame"

// Version is the format version that this software writes, for every layout. Version
// 1 differs in what it leaves out: the flags of a MSG above 4, those of a change, and
// embedded messages, which older software would lose.
const Version = 2

var (
	// ErrMalformed reports bytes that do not parse or do not check.
	ErrMalformed = frame.ErrMalformed
	// ErrVersion reports a format version newer than this software's.
	ErrVersion = frame.ErrVersion
)

// Sum returns the plain CRC32C of p, as stored for message texts.
func Sum(p []byte) uint32 { return frame.Sum(p) }

// UpdateSum adds p to a running Sum.
func UpdateSum(sum uint32, p []byte) uint32 { return frame.UpdateSum(sum, p) }

// The kinds of record. Others are refused.
const (
	KindMessage = frame.Kind(iota + 1) // MSG: a message was accepted; payload of AppendMessageHead and the text
	KindSettle                         // SETTLE: recipients changed state; payload of AppendSettle
	KindAction                         // ACTION: an operator's change; payload of AppendAction
)

// KindName returns the kind's name in the format page.
func KindName(k frame.Kind) string {
	switch k {
	case KindMessage:
		return "MSG"
	case KindSettle:
		return "SETTLE"
	case KindAction:
		return "ACTION"
	}
	return "unknown"
}

// Package record is the written form of the spool: how messages, settlements and
// operators' actions, and the headers around them, are laid out as bytes. It does
// no I/O.
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
// begins with a version byte, integers in fixed fields are little endian, and
// every checksum is CRC32C. Those of a segment's groups and records are seeded
// with the store's secret uuid, the epoch, the generation and the offset (see
// Seed), so that bytes left from an earlier use of the same place, or sent by a
// stranger inside a message, never check.
package record

import (
	"errors"
	"hash/crc32"
)

// Version is the format version that this software writes, for every layout. Version
// 1 differs in what it leaves out: the flags of a MSG above 4, those of a change, and
// embedded messages, which older software would lose.
const Version = 2

var (
	// ErrMalformed reports bytes that do not parse or do not check.
	ErrMalformed = errors.New("malformed record")
	// ErrVersion reports a format version newer than this software's.
	ErrVersion = errors.New("format version is newer than this software")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the plain CRC32C of p, as stored for message texts.
func Sum(p []byte) uint32 { return crc32.Update(0, castagnoli, p) }

// UpdateSum adds p to a running Sum.
func UpdateSum(sum uint32, p []byte) uint32 { return crc32.Update(sum, castagnoli, p) }

// Kind says what a record holds.
type Kind uint8

// The kinds of record. Others are refused.
const (
	KindMessage Kind = iota + 1 // MSG: a message was accepted; payload of AppendMessageHead and the text
	KindSettle                  // SETTLE: recipients changed state; payload of AppendSettle
	KindAction                  // ACTION: an operator's change; payload of AppendAction
)

// String returns the kind's name in the format page.
func (k Kind) String() string {
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

// Package frame is the written form of a spool, apart from what its records
// mean: the headers of segments, groups and records with their checksums, and the
// small files beside the segments. It does no I/O.
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
package frame

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Version is the format version that this software writes, for every layout here.
const Version = 2

var (
	// ErrMalformed reports bytes that do not parse or do not check.
	ErrMalformed = errors.New("malformed record")
	// ErrVersion reports a format version newer than this software's.
	ErrVersion = errors.New("format version is newer than this software")
)

// Kind says what a record holds. What the kinds mean is the owner's; 0 is none.
type Kind uint8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the plain CRC32C of p, as stored for the bodies of records.
func Sum(p []byte) uint32 { return crc32.Update(0, castagnoli, p) }

// UpdateSum adds p to a running Sum.
func UpdateSum(sum uint32, p []byte) uint32 { return crc32.Update(sum, castagnoli, p) }

func appendUint32(dst []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(dst, v) }

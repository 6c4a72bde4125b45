// Package smtp is SMTP and LMTP on the wire (RFC 5321, RFC 2033): commands and
// their parameters, replies, the extensions that EHLO lists, the text of a
// message with its dots and chunks, and one conversation as a client.
//
// Parsers work in place: what they return aliases the line that they were given
// and lives as long as that line does. They take bytes from strangers, never
// panic, and never allocate by a number that a stranger announced.
//
// # Concurrency
//
// Nothing here locks; a value belongs to the goroutine of its session.
package smtp

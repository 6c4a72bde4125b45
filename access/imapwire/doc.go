// Package imapwire is the form of IMAP on the wire (RFC 3501, RFC 9051): a Decoder
// over the octets of one whole command, functions that append what a server says,
// sets of numbers, dates, and the names of mailboxes. It knows nothing of sessions.
//
// A command is decoded where it lies: it is one contiguous slice with its literals in
// it, as they were sent ("{5}\r\nhello"), and what the Decoder returns are pieces of
// that slice. Nothing is allocated but the ranges of a NumSet, whose memory is used
// again. What is announced is never believed: a literal is only as long as the slice,
// a set is only as long as its text, lists nest at most MaxDepth deep.
//
// # Concurrency
//
// A Decoder and a NumSet belong to one goroutine. Functions share nothing.
package imapwire

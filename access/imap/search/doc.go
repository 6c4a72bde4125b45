// Package search finds, sorts and threads the messages of a mailbox for IMAP: the
// keys of RFC 3501 and 9051, of RFC 5032 (OLDER, YOUNGER), RFC 7162 (MODSEQ), RFC
// 8474 (EMAILID, THREADID) and RFC 8514 (SAVEDBEFORE and its like), and the orders
// of RFC 5256 and 5957.
//
// A Program is what the client asked, in a compact tree. Each of its keys has a
// cost: what it compares is in the array that every session has (flags, UIDs,
// mod-sequences), in the index's row of the message (dates, sizes, ids), in the
// header that the index keeps, or in the text. Run decides as many messages as it
// can at each cost before it looks at anything dearer, in blocks of messages, so
// that it needs little memory of its own whatever the size of the mailbox, and can
// be stopped soon.
//
// Strings are found without regard to case and to how their characters are
// composed: both sides are decomposed and folded (RFC 5051, with the simple
// foldings of Unicode). Headers are unfolded and their encoded words decoded (RFC
// 2047), texts are decoded from their transfer encoding and charset; what is
// declared wrongly is compared as it stands. Parts that are no text are not looked
// into, nor is what a header has beyond the 64 KiB that the index keeps of it.
//
// # Guarantees
//
// What a hostile client or message can cost is bounded: a program has at most
// MaxKeys keys, nested at most MaxDepth deep; no function recurses deeper than
// that; time is linear in what is read, or n log n in the number of messages where
// they are sorted; Scope.Check is called every few milliseconds of work and stops it.
//
// # Concurrency
//
// Nothing here locks or starts a goroutine. A Program belongs to one goroutine at a
// time, as does the View of its Scope.
package search

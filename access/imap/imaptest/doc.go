// Package imaptest is an IMAP client that believes nothing: it reads what a server
// says with a parser of its own, keeps for each session what the server has told it
// of the selected mailbox, and reports whatever breaks the rules of RFC 3501,
// RFC 7162 and RFC 9051. It is used by tests only.
//
// Stress lets many such sessions work on a few mailboxes at random. A Ledger holds
// what was acknowledged to any of them: none of it may be lost, neither in a run
// that ends well nor when the server is killed in the middle of it.
//
// # Concurrency
//
// A Client belongs to one goroutine. A Ledger may be used by many.
package imaptest

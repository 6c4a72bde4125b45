// Package mailbox is the store of local mail: accounts, their mailboxes, and the
// messages in them, made so that IMAP and POP3 can stand on it.
//
// One log (package spool, in Dir/log) is the truth. Every change is a record in
// it, made of absolute values: the UIDs, mod-sequences, flags and names that are
// to be. A Pebble of its own (Dir/index) holds what the log amounts to, and can be
// made again from the log; a text above Options.LargeBytes is a file of its own
// (Dir/large), written and synced before the record that names it.
//
// # Guarantees
//
//   - What a call has returned without an error is durable, and what anybody can
//     see is durable: UIDs, mod-sequences and UIDVALIDITY are assigned before the
//     sync, and shown after it.
//   - In one mailbox UIDs and mod-sequences only rise; none is given twice. A name
//     never has the same UIDVALIDITY for two mailboxes.
//   - A Delivery with a Key is filed once for each recipient and mailbox, however
//     often it is repeated, until Forget is told of the key.
//   - Quota is exact: no concurrent deliveries together exceed it.
//   - A text is kept once for all the messages that share it, and goes with the
//     last of them.
//
// # Concurrency
//
// All methods may be called from any goroutine, a View's from one at a time. A
// change assigns its numbers and appends its record under the account's lock,
// without waiting; the spool's commit goroutine makes it durable together with
// others; the applier, one goroutine that Open starts and Close ends, then brings
// records in the order of the log into Pebble and into the state in memory, and
// only then the caller goes on and watchers are called. Changes other than
// deliveries also hold the account's turn, from before they look at what is there
// until they are applied: in one account they happen one after the other.
//
// Locks: an account's turn before accounts' mu (several in the order of their
// ids) before the store's mu, the applier's and the spool's, which are leaves. No
// lock but a turn is held across I/O.
//
// Accounts and mailboxes in memory are found by weak pointers: they live as long
// as somebody uses them or the ring of recently used ones holds them, or the shelf of
// large mailboxes that were open a while ago.
//
// # Format
//
// docs/formats.md of the repository, and packages record (the log's records) and
// rows (the keys and values in Pebble).
package mailbox

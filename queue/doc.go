// Package queue keeps messages until every one of their recipients has ended.
// It knows lanes and due times, and no protocol.
//
// A message arrives as a Draft. Commit writes it, in one group with others, to
// the hot spool, the queue's only log, and returns when the group is synced.
// From then on its recipients can be leased: Lane.Next hands out a Job, which is
// one message with those of its recipients that are ready in that lane. Settle
// takes the job back and says how each recipient ended: for good, or until a due
// time. Settlements are records of the same log, written within 5 ms and synced
// within 20 ms; nobody waits for them.
//
// A recipient waits in a bucket: that of its domain, of the way by which it goes, of
// the flow that it is part of, and of a band. Options.Place names the last three when
// it is accepted; a retry has a band of its own. Options.Bind says which lane domain
// and way take, and Options.Order, for each lane, which bucket is next. The queue
// takes the oldest of that.
//
// What outlives its first attempt is moved out of the hot spool in the
// background: its text into a cold segment, its rows into Pebble, and of the
// message only 40 bytes a waiting recipient stay in memory. One worker does all
// that, in the order of the log; nothing on the way of an SMTP reply waits for
// Pebble.
//
// # Guarantees
//
//   - Commit returned nil: the message is delivered, or ends in another state
//     that was recorded, whatever happens to the process or the machine.
//   - Commit returned an error: nothing may be promised. The message may exist
//     nevertheless, whole, or not at all.
//   - A notice (NextFailed, SettleWith) comes into being by the record that ends those
//     it tells of: whatever happens, both are there or neither is.
//   - A recipient whose terminal state was synced never returns. What was
//     settled in the last 20 ms before a crash, and what was leased, is leased
//     again.
//   - Of two records about a recipient the higher version wins; a terminal state
//     absorbs.
//   - A text that does not match its checksum is reported by the body's Reader
//     before the end of the text could be sent.
//   - At a limit of disk, memory or segments NewDraft returns ErrFull; delivery
//     goes on. A failing write or sync ends the queue for good: Options.Fatal.
//
// # Concurrency
//
// Everything is safe for concurrent use, but a Draft and a Job, which belong to
// one goroutine each. Queue.mu guards the table of waiting recipients, the
// lanes, the hot entries and the counts; it is held for microseconds, never
// across I/O or a callback. The cold store's mutex is taken below it, never
// around it. keepFiles is held while a backup is made, and by the worker while it
// gives files back, without waiting for it. Three goroutines belong to the queue: the spool's writer, which
// makes messages leasable as their groups are synced; the clock, which makes
// deferred recipients ready; and the worker, the only one that writes to Pebble
// and the cold segments. Close waits for all. The orders of the lanes are called under
// Queue.mu, Rebind and RebindDomain follow one another under a lock of their own, and
// the names of flows have one below Queue.mu.
//
// # Format
//
// docs/formats.md describes all that is written, byte by byte.
package queue

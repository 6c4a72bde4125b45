// Package schedule decides when the mail that waits for a site may go: which of it
// is next, how many connections are open, and when a site that failed is tried
// again. It is a pure core. Time and events come in as arguments, decisions go out;
// it opens nothing, starts no goroutine and reads no clock.
//
// Mail waits in its site's lane, not on timers of its own, so that a site that is
// down costs one event and not one for each message. Two things decide:
//
//   - The Order of a lane, held by the queue, says which bucket of ready recipients
//     is next: bands by their least shares, inside a band the sender that was served
//     least. With n senders that have something ready in a band, a new one's first
//     message is taken after at most n others of that band.
//   - The gates of a Lane say whether it goes now: the breaker (the site failed),
//     the rates (so many a second, or the site asked for a pause), the window (what
//     the site copes with), and the bounds of the source, the provider and all
//     connections. Whatever waits, waits at one of them, which has a name and has
//     been it since a moment: see State.
//
// Only trouble of a message or recipient (Effect.Private) gives it a due time of its
// own, which Retry computes from the reason.
//
// # Life of a connection
//
// Decide says how many connections to open; each is counted from then on and ends
// in one Closed. Before the dial Pick orders the targets; Heard is told of each one
// that was tried. Take comes before each transaction, Success or Trouble after it.
// When Take says that the connection shall end, when Closed names a lane that waited
// for a place, when Success says that more may be opened, and at Decision.Until, the
// lane concerned should Decide again.
//
// # Concurrency
//
// A Scheduler and its Lanes are safe for concurrent use: one mutex guards them all,
// and no call does more under it than some arithmetic. An Order and a Buckets are not:
// whoever holds them guards them.
package schedule

// Package auth decides who is who: one Authenticator for every protocol that asks
// for a login, so that a guesser who goes from SMTP to POP3 is the same guesser.
//
// Users come from databases, asked in their order: a file of ours, SQL, LDAP. A
// database only tells what it holds (Entry); whether a password fits, how often one
// may guess, and what is remembered of a good login is decided here.
//
// Guarantees:
//
//   - A stranger cannot tell an unknown user, a disabled one and a wrong password
//     from each other: the error is the same and so is the work, since an unknown
//     name is checked against a stored form of the usual cost.
//   - A good login that was seen before costs two digests, no slow hash. What is
//     remembered is a keyed digest under a key of this process, and the stored form
//     is part of it: a changed password ends the old one at once.
//   - Slow hashes run on goroutines of their own, at most Options.Cores at a time,
//     behind a line of bounded length; equal attempts are computed once.
//   - Failures count against the address, its network and the account, whatever
//     protocol they came by. Answers get slower, then the answer is "later" (never
//     a ban). An address from which the account logged in before is counted apart,
//     so that strangers cannot lock its owner out.
//   - Nothing here grows without bound, and no password is in any error or event.
//
// # Concurrency
//
// Authenticator is safe for concurrent use. Password and Exchange.Next may block:
// for the slow hash, and for the delay of a failed attempt; both end with the
// context. An Exchange belongs to its session.
package auth

// Package maildir reads and writes Maildir and Maildir++ (folders as ".Name.Below"
// in the one of INBOX), with what Dovecot keeps beside them: dovecot-uidlist (UIDs,
// UIDVALIDITY, ids for POP3), dovecot-keywords, and the list of subscriptions.
//
// # Guarantees
//
// A Maildir may belong to somebody who wishes the reader ill. No symbolic link is
// followed, neither in the path nor below it; nothing is read but regular files
// and folders that belong to the owner of the Maildir, and opening never waits
// for a pipe or a device. A Writer makes what it writes below its own folder, by
// names that no mailbox chooses freely, and never through a link.
//
// # Format
//
// https://cr.yp.to/proto/maildir.html, and for the extensions the file formats as
// Dovecot documents them: flags are the letters D (draft), F (flagged), P (passed),
// R (answered), S (seen), T (deleted) behind ":2,", and lower-case letters are the
// keywords of dovecot-keywords by their number; S= and W= in a name are the file's
// size and its size with CRLF.
//
// # Concurrency
//
// Nothing here locks. A Maildir that is being delivered into may be read: files
// that move meanwhile are looked for once more.
package maildir

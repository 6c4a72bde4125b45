// Package userfile keeps users in a text file: one user a line, to be read, diffed
// and put under version control by people, and written by `postrider user`.
//
// A file is valid whole or not at all. A running server looks at it again when it
// has changed; when it is not valid any more the old users stay, and the error says
// the line and the column. Every change is written to a new file that replaces the
// old one once it is durable, so that a reader never sees half of one; comments,
// empty lines and the order of lines are kept. Lookups cost the same however many
// users there are: the file is held in memory as it is, with an index of its lines.
//
// # Concurrency
//
// Table is immutable. File is safe for concurrent use. Edits exclude each other
// across processes, by a lock on the folder.
//
// # Format
//
// The first line is "# postrider users 1", where 1 is the version. Lines that begin
// with "#", and empty ones, mean nothing. Any other line is a user: the full
// address in lower case, then fields, separated by spaces or tabs:
//
//	password=FORM             the stored password, see package password
//	scram=N,SALT,STORED,SERVER  keys for SCRAM-SHA-256 in base64
//	app=NAME;SCOPES;DIGEST    an app password; SCOPES is "*" or "pop3,imap";
//	                          ";STORED;SERVER" may follow: SCRAM keys with the
//	                          salt and rounds of scram=
//	send-as=ADDRESS,@DOMAIN   what the user may send as beside the own address
//	quota=5GB                 of the mailboxes; "none" for no bound
//	quota-messages=N
//	disabled                  cannot log in
//
// app= may stand more than once. In values, "%" and two hexadecimal digits stand for
// an octet; space, "%", and whatever separates there, are written so.
//
// Beside the file, with ".key" added to its name, lies the installation's secret: 64
// hexadecimal digits, under which app passwords are digested. Without it they do not
// fit any more.
package userfile

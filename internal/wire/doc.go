// Package wire holds the connections of every protocol that postrider serves:
// Conn, a buffered, limited, deadline-keeping connection that can turn to TLS, and
// Server, the accept loop that drains.
//
// A Conn that waits with nothing buffered owns no buffer: it takes one from its
// server's pool when bytes have come and gives it back when they are used up and
// it is about to wait again. Output is gathered and leaves before a read that
// would block, or when its bounded buffer is full. Deadlines are coarse: one that
// moves by less than a second is not set again.
//
// A session may also park: until there is input it then has no more than a fresh
// goroutine, since a stack that has once grown would stay as large while it waits.
// 10,000 parked sessions of POP3 take some 49 MB in clear and 128 MB by TLS, of which
// crypto/tls keeps 90; of IMAP, each in IDLE in a mailbox of another user, 60 and 150.
// Wake lets something else than input end the wait.
//
// A compressed connection keeps the window of its decoder, as large as what its client
// has said so far; the encoder is lent for one write.
//
// A Server never starts a goroutine for a connection that it refuses, does not
// spin when descriptors run out, and turns a panic of one session into the end of
// that session alone.
//
// # Concurrency
//
// A Conn belongs to the goroutine of its session; Server, and who calls Wake, touch only
// its base connection, to wake or cut it. Server and Census are safe for concurrent use;
// Server.mu is taken before Census.mu and neither is held across I/O on a
// connection, except for setting a deadline and closing.
package wire

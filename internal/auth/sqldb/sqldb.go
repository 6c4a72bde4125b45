// Package sqldb has users in a PostgreSQL database.
//
//	users, err := sqldb.New(sqldb.Options{
//		URL:   "postgres://postrider:secret@db.example.org/mail",
//		Query: "SELECT hash, quota FROM users WHERE address = $1",
//	})
//	...
//	defer users.Close()
//	authenticator := auth.New(auth.Options{Databases: []auth.Database{users}})
//
// The query gets the user's canonical address as $1, and answers with no row, which
// is an unknown user, or with one. What its columns are is told by their names (AS):
//
//	hash            text     the password's stored form, as package password reads it; NULL or "": none
//	name            text     the address that is the account, when $1 may be another of the user
//	senders         text[]   what the user may send as besides ("@domain": all of a domain);
//	                         or text, separated by spaces or commas
//	quota           integer  bytes; NULL or 0: as for everybody, below 0: none
//	quota_messages  integer  likewise
//	disabled        boolean  may not log in
//	scram           text     keys for SCRAM-SHA-256, as the users file has them
//	app_passwords   text[]   each "NAME;SCOPES;DIGEST", as the users file has them
//
// Another column, another type, or a second row is an error, so that a slip in the
// query does not let anybody in or lock anybody out for good.
//
// Guarantees:
//
//   - Only an answer without a row means that a user does not exist. Whatever goes
//     wrong is temporary.
//   - The name is a parameter of a prepared statement, never part of its text.
//   - To a server that is not on this machine the connection is encrypted and the
//     certificate checked, unless the URL says otherwise with sslmode.
//
// # Concurrency
//
// A DB is safe for concurrent use, and an entry that it returned is read-only. Close
// ends its connections and waits for them.
package sqldb

import (
	"context"
	"errors"
	"fmt"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
)

// Options configure a DB.
type Options struct {
	URL         string // postgres://... or "key=value ...", as libpq takes them
	Query       string // with $1 for the name
	Connections int    // at most; 0: 4

	// Guard bounds the time of a lookup and remembers users. Its Concurrent is set to
	// Connections.
	Guard guard.Options
}

// DB is an auth.Database.
type DB struct {
	*guard.Users
	server server
}

// server is what a DB needs of a database: the pool, or what tests put in its place.
type server interface {
	// rows runs the query and returns its columns' names and at most two rows.
	rows(ctx context.Context, name string) (columns []string, rows [][]any, err error)
	close()
}

// New returns a DB. It does not connect yet, so that a database that is down does not
// keep the mail server from its start.
func New(o Options) (*DB, error) {
	if o.Query == "" {
		return nil, errors.New("sqldb: there is no query")
	}
	if o.Connections <= 0 {
		o.Connections = 4
	}
	s, err := newPool(o)
	if err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	return over(s, o), nil
}

func over(s server, o Options) *DB {
	o.Guard.Concurrent = o.Connections
	db := &DB{server: s}
	db.Users = guard.NewUsers(guard.NewGate(o.Guard.Limits), o.Guard, db.ask)
	return db
}

// Close ends all connections.
func (db *DB) Close() error {
	db.server.close()
	return nil
}

func (db *DB) ask(ctx context.Context, name string) (*auth.Entry, error) {
	columns, rows, err := db.server.rows(ctx, name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("sqldb: %w", err)
	case len(rows) == 0:
		return nil, auth.ErrUnknown
	case len(rows) > 1:
		return nil, &guard.DataError{Name: name, Cause: errors.New("the query found more than one row")}
	}
	return entry(name, columns, rows[0])
}

package demo

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"postrider/bench/access"
	"postrider/bench/ledger"
	"postrider/internal/auth"
	"postrider/internal/auth/password"
	"postrider/internal/auth/userfile"
)

// The users whose mail stays here. Their password is no secret.
const (
	homeDomain   = "home.bench.test"
	homeUsers    = 20
	homePassword = "the demonstration's"
	homeShare    = 10 // of so many messages one is for them
)

// writeUsers makes the users file.
func writeUsers(path string) error {
	hash, err := password.Hash([]byte(homePassword))
	if err != nil {
		return err
	}
	return userfile.Change(path, func(e *userfile.Edit) error {
		for n := range homeUsers {
			if err := e.Put(&auth.Entry{Name: "u" + strconv.Itoa(n) + "@" + homeDomain, Hash: hash}); err != nil {
				return err
			}
		}
		return nil
	})
}

// fetched is what was found in the mailboxes.
type fetched struct{ texts, bytes, strangers int64 }

// fetch reads all mailboxes by POP3 and accounts for each message: the hash of its
// body must be the one that the generator wrote into its header.
func fetch(ctx context.Context, address string, l *ledger.Ledger) (fetched, error) {
	b, err := access.New(access.Options{
		POP3: address, Workload: access.Poll, Protocol: "pop3", Users: homeUsers, Conns: homeUsers / 4,
		UserFormat: "u%d@" + homeDomain, Password: homePassword, Sessions: 1,
	})
	if err != nil {
		return fetched{}, err
	}
	var texts, bytes, strangers atomic.Int64
	err = b.Harvest(ctx, func(text []byte) {
		texts.Add(1)
		bytes.Add(int64(len(text)))
		h, whole, ok := ledger.ReadText(text)
		if ok && h.Run == l.Run() {
			_, ok = l.Delivered(h.Seq, 0, whole)
		}
		if !ok || h.Run != l.Run() {
			strangers.Add(1)
		}
	})
	l.Strange(strangers.Load())
	if err != nil {
		return fetched{}, fmt.Errorf("reading the mailboxes: %w", err)
	}
	return fetched{texts.Load(), bytes.Load(), strangers.Load()}, nil
}

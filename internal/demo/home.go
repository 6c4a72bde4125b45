package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
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

// texts counts messages by the hash of all that they hold. It is safe for concurrent
// use.
type texts struct {
	mu    sync.Mutex // guards following
	of    map[[sha256.Size]byte]int
	n     int
	bytes int64
}

func (t *texts) add(text []byte) {
	sum := sha256.Sum256(text)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[[sha256.Size]byte]int)
	}
	t.of[sum]++
	t.n++
	t.bytes += int64(len(text))
}

// within reports that o has all that t has. Neither may grow meanwhile.
func (t *texts) within(o *texts) bool {
	for sum, n := range t.of {
		if o.of[sum] < n {
			return false
		}
	}
	return true
}

// home are the mailboxes of the users here, as clients see them.
type home struct {
	pop3, imap string // addresses

	idle     texts // what a session read that waited in IDLE
	told     int64 // times that it was told of new mail
	followed error
	stop     context.CancelFunc
	ended    chan struct{}
}

// follow begins a session of the first user that waits for mail.
func (h *home) follow(ctx context.Context) error {
	b, err := access.New(h.reads("imap", 1))
	if err != nil {
		return err
	}
	ctx, h.stop = context.WithCancel(ctx)
	h.ended = make(chan struct{})
	go func() {
		defer close(h.ended)
		var seen access.Followed
		seen, h.followed = b.Follow(ctx, h.idle.add)
		h.told = seen.Told
	}()
	return nil
}

// close ends the session that waits.
func (h *home) close() {
	h.stop()
	<-h.ended
}

// reads are the options of clients of the first users.
func (h *home) reads(protocol string, users int) access.Options {
	return access.Options{
		POP3: h.pop3, IMAP: h.imap, Workload: access.Poll, Protocol: protocol, Users: users, Conns: max(users/4, 1),
		UserFormat: "u%d@" + homeDomain, Password: homePassword, Sessions: 1,
	}
}

// errDiffer says that clients of several protocols do not see the same mail.
var errDiffer = errors.New("IMAP and POP3 do not show the same messages")

// fetch reads all mailboxes by POP3 and accounts for each message: the hash of its
// body must be the one that the generator wrote into its header. By IMAP it reads them
// again, and compares them whole. It tells out what there was.
func (h *home) fetch(ctx context.Context, l *ledger.Ledger, out io.Writer) error {
	var (
		byPOP3, byIMAP texts
		strangers      atomic.Int64 // that the generator has not sent
	)
	account := func(text []byte) {
		byPOP3.add(text)
		m, whole, ok := ledger.ReadText(text)
		if ok && m.Run == l.Run() {
			_, ok = l.Delivered(m.Seq, 0, whole)
		}
		if !ok || m.Run != l.Run() {
			strangers.Add(1)
		}
	}
	err := errors.Join(h.read(ctx, "pop3", account), h.read(ctx, "imap", byIMAP.add))
	l.Strange(strangers.Load())
	if h.followed != nil {
		err = errors.Join(err, fmt.Errorf("the session in IDLE: %w", h.followed))
	}
	if err != nil {
		return err
	}
	if byIMAP.n != byPOP3.n || !byIMAP.within(&byPOP3) || !h.idle.within(&byIMAP) || h.idle.n > 0 && h.told == 0 {
		return fmt.Errorf("%w: %d by POP3, %d by IMAP, %d by a session that was told of mail %d times", errDiffer, byPOP3.n, byIMAP.n, h.idle.n, h.told)
	}
	fmt.Fprintf(out, "%d messages, %.1f MB, were fetched from %d mailboxes by POP3, and have the bodies that were sent; by IMAP come the same, octet for octet\n",
		int64(byPOP3.n)-strangers.Load(), float64(byPOP3.bytes)/1e6, homeUsers)
	fmt.Fprintf(out, "a session in IDLE was told of new mail %d times as it came, and read %d messages\n", h.told, h.idle.n)
	return nil
}

// read hands over every message of every mailbox.
func (h *home) read(ctx context.Context, protocol string, take func([]byte)) error {
	b, err := access.New(h.reads(protocol, homeUsers))
	if err == nil {
		err = b.Harvest(ctx, take)
	}
	if err != nil {
		return fmt.Errorf("reading the mailboxes by %s: %w", protocol, err)
	}
	return nil
}

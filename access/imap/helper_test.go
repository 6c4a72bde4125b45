package imap_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"postrider/access/imap"
	"postrider/delivery/mailbox"
	"postrider/internal/auth"
	hash "postrider/internal/auth/password"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(memoryEnv); kind != "" {
		serveIdle(kind)
		return
	}
	goleak.VerifyTestMain(m)
}

// password is that of every user of the tests.
const password = "correct horse"

// house is a server's world: a store in memory, and users who all have the same
// password.
type house struct {
	t     testing.TB
	store *mailbox.Store
	o     *imap.Options

	mu sync.Mutex
	// guards following
	events []imap.Event
}

// newHouse opens a store and fills in what every test needs; options may change it.
func newHouse(t testing.TB, options ...func(o *imap.Options)) *house {
	t.Helper()
	return newHouseOn(t, vfs.NewMem(), options...)
}

// newHouseOn is newHouse with the store on a file system.
func newHouseOn(t testing.TB, fs vfs.FS, options ...func(o *imap.Options)) *house {
	t.Helper()
	store, err := mailbox.Open(mailbox.Options{
		FS: fs, Dir: "store", SegmentBytes: 1 << 20, ReserveBytes: -1,
		MemTableBytes: 1 << 20, CacheBytes: 1 << 20, CompactEvery: -1, Vanished: 100, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: store}
	h.furnish(options...)
	return h
}

// furnish fills in the options, and closes the store at the end of the test.
func (h *house) furnish(options ...func(o *imap.Options)) {
	t, store := h.t, h.store
	h.prepare()
	for _, f := range options {
		f(h.o)
	}
	t.Cleanup(func() {
		h.o.Auth.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// prepare fills in what every server needs.
func (h *house) prepare() {
	h.o = &imap.Options{
		Hostname: "mx.example", Store: h.store, ClearLogin: netip.Addr.IsLoopback, Open: h.open, Events: h.event,
		Limits: imap.Limits{ConnectionsPerClient: -1, Connections: -1},
		Auth: auth.New(auth.Options{
			Databases: []auth.Database{h}, Tokens: h, Domain: "mx.example", Limits: auth.Limits{Delay: -1},
		}),
	}
}

// clock is the time in the store: INTERNALDATE of messages that say nothing.
func clock() time.Time { return time.Date(2026, 11, 28, 12, 30, 0, 0, time.UTC) }

func (h *house) event(e imap.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := *e.Conn // valid until this returns
	e.Conn = &c
	h.events = append(h.events, e)
	if e.Kind == imap.Panicked && e.Panic != "a broken database" {
		h.t.Errorf("panic: %v\n%s", e.Panic, e.Stack)
	}
	if e.Kind == imap.Trouble {
		h.t.Logf("trouble: %v", e.Err)
	}
}

// Lookup makes the house a database of users.
func (h *house) Lookup(_ context.Context, name string) (*auth.Entry, error) {
	user, _, _ := strings.Cut(name, "@")
	switch user {
	case "panic":
		panic("a broken database")
	case "down":
		return nil, errors.New("no database")
	case "nobody":
		return nil, auth.ErrUnknown
	}
	return &auth.Entry{Name: name, Hash: "{PLAIN}" + password, Scram: scramKeys()}, nil
}

func (h *house) ScramReady() bool { return true }

// Check makes it a checker of tokens: all are one user's.
func (h *house) Check(_ context.Context, token string) (string, error) {
	if token == "expired" {
		return "", auth.ErrCredentials
	}
	return "user@mx.example", nil
}

var scramKeys = sync.OnceValue(func() *hash.Scram {
	keys, err := hash.NewScram([]byte(password), nil)
	if err != nil {
		panic(err)
	}
	return keys
})

func (h *house) open(ctx context.Context, u *auth.User) (*mailbox.Account, error) {
	return h.store.CreateAccount(ctx, u.Name)
}

// box returns a mailbox of user@mx.example, and makes it when it is missing.
func (h *house) box(name string) *mailbox.Mailbox {
	h.t.Helper()
	a, err := h.store.CreateAccount(context.Background(), "user@mx.example")
	if err != nil {
		h.t.Fatal(err)
	}
	m, err := a.Mailbox(name)
	if errors.Is(err, mailbox.ErrNoMailbox) {
		m, err = a.Create(context.Background(), name, 0)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// deliver files texts into a mailbox.
func (h *house) deliver(box string, texts ...string) {
	h.t.Helper()
	m := h.box(box)
	for _, s := range texts {
		d := &mailbox.Delivery{Text: text(s), Targets: []mailbox.Target{{Mailbox: m}}}
		if err := h.store.Deliver(context.Background(), d); err != nil {
			h.t.Fatal(err)
		}
	}
}

// text is a mail.Body in memory.
type text string

func (b text) Size() int64       { return int64(len(b)) }
func (b text) Bytes() []byte     { return []byte(b) }
func (b text) Reader() io.Reader { return strings.NewReader(string(b)) }
func (b text) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader([]byte(b)).ReadAt(p, off)
}

// serve serves the house on loopback until the test ends and returns a way to dial it.
func (h *house) serve() (dial func() net.Conn) {
	h.t.Helper()
	t := h.t
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := imap.NewServer("test", nil, func() *imap.Options { return h.o })
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return func() net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}
}

// certificate is the server's.
var certificate = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mx.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

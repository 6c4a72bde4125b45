package pop3_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postrider/access/pop3"
	"postrider/internal/auth"
	hash "postrider/internal/auth/password"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(idleEnv); kind != "" {
		serveIdle(kind)
		return
	}
	goleak.VerifyTestMain(m)
}

// password is that of every user of the tests.
const password = "correct horse"

// house holds users with their mail, and lets in who knows the password.
type house struct {
	mu sync.Mutex
	// guards following
	mail   map[string][]*letter
	events []pop3.Event
	closed int
	fail   error // of reading and updating
	damage bool  // a text ends with an error
}

type letter struct {
	uid, text string
	seen      bool
}

func newHouse(user string, texts ...string) *house {
	h := &house{mail: map[string][]*letter{}}
	for i, text := range texts {
		h.mail[user] = append(h.mail[user], &letter{uid: "uid" + strconv.Itoa(i+1), text: text})
	}
	return h
}

func (h *house) left(user string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var uids []string
	for _, l := range h.mail[user] {
		uid := l.uid
		if l.seen {
			uid += "*"
		}
		uids = append(uids, uid)
	}
	return strings.Join(uids, " ")
}

func (h *house) set(fail error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = fail
}

func (h *house) event(e pop3.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := *e.Conn // valid until this returns
	e.Conn = &c
	h.events = append(h.events, e)
}

// Lookup makes the house a database of users: whoever it is asked for has the same
// password.
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

func (h *house) open(_ context.Context, u *auth.User) (pop3.Maildrop, error) {
	user, _, _ := strings.Cut(u.Name, "@")
	h.mu.Lock()
	defer h.mu.Unlock()
	if user == "nodrop" {
		return nil, errors.New("no such file")
	}
	return &drop{h: h, user: user, letters: append([]*letter(nil), h.mail[user]...)}, nil
}

// prepare fills in what every test needs.
func prepare(o *pop3.Options, h *house) (done func()) {
	o.Hostname = "mx.example"
	o.Auth = auth.New(auth.Options{
		Databases: []auth.Database{h}, Tokens: h, Domain: "mx.example",
		Limits: auth.Limits{Delay: -1},
	})
	o.ClearLogin = netip.Addr.IsLoopback
	o.Open = h.open
	o.Events = h.event
	if o.Drops == nil {
		o.Drops = pop3.NewDrops()
	}
	if o.Limits.ConnectionsPerClient == 0 {
		o.Limits.ConnectionsPerClient = -1
	}
	if o.Limits.Connections == 0 {
		o.Limits.Connections = -1
	}
	return o.Auth.Close
}

// start serves o on loopback until the test ends and returns a way to dial it.
func start(t testing.TB, o *pop3.Options, h *house) (*pop3.Server, func() net.Conn) {
	t.Helper()
	t.Cleanup(prepare(o, h))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := pop3.NewServer("test", nil, func() *pop3.Options { return o })
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
	return s, func() net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}
}

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

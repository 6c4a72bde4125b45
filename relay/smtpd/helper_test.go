package smtpd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postrider/internal/mail"
	"postrider/relay/smtp"
	"postrider/relay/smtpd"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		serveAsChild()
		return
	}
	goleak.VerifyTestMain(m)
}

// received is one committed message.
type received struct {
	from     string
	to       []string
	text     string
	protocol string
	mail     smtp.MailParams
	rcpt     []smtp.RcptParams
	required bool // TLS on all of the way
	waived   bool
}

// recorder is a Handler whose sessions keep what they are given. Local parts say
// what it refuses.
type recorder struct {
	mu sync.Mutex
	// guards following
	messages []received
	calls    []string // of all sessions, in order
	events   []smtpd.RejectEvent

	commit func(c *smtpd.Conn) mail.Status // nil: accept
	write  func(p []byte) mail.Status      // nil: accept
}

func (r *recorder) Connect(c *smtpd.Conn) (smtpd.Session, mail.Status) {
	return &session{r: r, c: c}, mail.Status{}
}

func (r *recorder) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, s)
}

func (r *recorder) taken() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.messages...)
}

func (r *recorder) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.calls, " ")
}

func (r *recorder) event(e smtpd.RejectEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Argument = append([]byte(nil), e.Argument...)
	r.events = append(r.events, e)
}

func (r *recorder) rules() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rules []string
	for _, e := range r.events {
		rules = append(rules, e.Rule)
	}
	return strings.Join(rules, " ")
}

type session struct {
	r    *recorder
	c    *smtpd.Conn
	in   received
	text []byte
}

func (s *session) Mail(from mail.Address, p *smtp.MailParams) mail.Status {
	switch string(from.Local) {
	case "refused":
		return mail.NewStatus(550, 5, 7, 1, "Not you")
	case "full":
		return mail.NewStatus(452, 4, 3, 1, "No room")
	}
	s.r.note("mail")
	s.in = received{from: from.String(), mail: *p}
	s.in.mail.EnvelopeID = append([]byte(nil), p.EnvelopeID...)
	return mail.Status{}
}

func (s *session) Rcpt(to mail.Address, p *smtp.RcptParams) mail.Status {
	switch string(to.Local) {
	case "nobody":
		return mail.NewStatus(550, 5, 1, 1, "No such user")
	case "later":
		return mail.NewStatus(451, 4, 3, 0, "Not now")
	case "panic":
		panic("a broken session")
	}
	s.in.to = append(s.in.to, to.String())
	q := *p
	q.Original = append([]byte(nil), p.Original...)
	s.in.rcpt = append(s.in.rcpt, q)
	return mail.Status{}
}

func (s *session) Data() mail.Status {
	if strings.HasPrefix(s.in.from, "nodata@") {
		return mail.NewStatus(451, 4, 3, 0, "No text now")
	}
	s.r.note("data")
	return mail.Status{}
}

func (s *session) Write(p []byte) mail.Status {
	if s.r.write != nil {
		if st := s.r.write(p); !st.IsZero() {
			return st
		}
	}
	s.text = append(s.text, p...)
	return mail.Status{}
}

func (s *session) Commit() mail.Status {
	s.r.note("commit")
	if s.r.commit != nil {
		if st := s.r.commit(s.c); !st.IsZero() {
			return st
		}
	}
	s.in.text = string(s.text)
	s.text = s.text[:0]
	s.in.protocol = string(s.c.Protocol())
	s.in.required, s.in.waived = s.c.RequireTLS, s.c.TLSWaived
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.messages = append(s.r.messages, s.in)
	return mail.NewStatus(250, 2, 0, 0, "queued")
}

// RecipientStatus makes the LMTP recipient "quota" fail after the text.
func (s *session) RecipientStatus(i int) mail.Status {
	if strings.HasPrefix(s.in.to[i], "quota@") {
		return mail.NewStatus(452, 4, 2, 2, "Mailbox full")
	}
	if strings.HasPrefix(s.in.to[i], "full") {
		return mail.NewStatus(552, 5, 2, 2, "Mailbox full")
	}
	return mail.Status{}
}

func (s *session) DeliveredTo(value []byte) mail.Status {
	if string(value) == "loop@here.example" {
		return mail.NewStatus(554, 5, 4, 6, "Been here before")
	}
	return mail.Status{}
}

func (s *session) Reset() {
	s.text = s.text[:0]
	s.r.note("reset")
}

func (s *session) Close() { s.r.note("close") }

// start serves o on loopback until the test ends and returns a way to dial it.
func start(t testing.TB, o *smtpd.Options) (*smtpd.Server, func() net.Conn) {
	t.Helper()
	if o.Hostname == "" {
		o.Hostname = "mx.example"
	}
	if o.Handler == nil {
		o.Handler = &recorder{}
	}
	if r, ok := o.Handler.(*recorder); ok && o.Events == nil {
		o.Events = r.event
	}
	if o.Limits.ConnectionsPerClient == 0 {
		o.Limits.ConnectionsPerClient = -1
	}
	if o.Limits.Connections == 0 {
		o.Limits.Connections = -1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtpd.NewServer("test", nil, func() *smtpd.Options { return o })
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

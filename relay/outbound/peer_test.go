package outbound_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// text is a message body of a test.
type text struct {
	data    []byte
	stored  bool // not in memory
	corrupt bool
}

func (t *text) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(t.data).ReadAt(p, off)
}

func (t *text) Size() int64 { return int64(len(t.data)) }

func (t *text) Bytes() []byte {
	if t.stored {
		return nil
	}
	return t.data
}

func (t *text) Reader() io.Reader {
	if t.corrupt {
		return io.MultiReader(bytes.NewReader(t.data), corruptEnd{})
	}
	return bytes.NewReader(t.data)
}

type corruptEnd struct{}

func (corruptEnd) Read([]byte) (int, error) { return 0, mail.ErrCorrupt }

// source is a mail.Source over a fixed list; it ends when the list does.
type source struct {
	t    *testing.T
	list []*mail.Delivery
	next int
	out  map[*mail.Delivery]bool
	done []*mail.Delivery
}

func newSource(t *testing.T, list ...*mail.Delivery) *source {
	return &source{t: t, list: list, out: map[*mail.Delivery]bool{}}
}

func (s *source) Next(ctx context.Context, wait time.Duration) *mail.Delivery {
	if s.next == len(s.list) || ctx.Err() != nil {
		return nil
	}
	d := s.list[s.next]
	s.next++
	s.out[d] = true
	return d
}

func (s *source) Done(d *mail.Delivery) {
	if !s.out[d] {
		s.t.Errorf("Done for a delivery that is not out")
	}
	delete(s.out, d)
	s.done = append(s.done, d)
}

// delivery makes a delivery of body from sender to addresses.
func delivery(body *text, sender string, addresses ...string) *mail.Delivery {
	e := &mail.Envelope{}
	e.Sender = e.KeepString(sender)
	d := &mail.Delivery{}
	d.Prepare(len(addresses))
	for i, a := range addresses {
		e.AddRecipient([]byte(a), 0, nil)
		d.Recipients = append(d.Recipients, i)
	}
	e.SizeBytes = body.Size()
	d.Envelope, d.Body, d.Sender = e, body, e.Sender
	return d
}

// goServer is a server by another hand: go-smtp's.
type goServer struct {
	mu    sync.Mutex
	texts []string
	rcpts []string
}

func (g *goServer) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &goSession{g: g}, nil }

type goSession struct {
	g     *goServer
	rcpts []string
}

func (s *goSession) Reset()                                 { s.rcpts = nil }
func (s *goSession) Logout() error                          { return nil }
func (s *goSession) Mail(string, *gosmtp.MailOptions) error { return nil }

func (s *goSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if bytes.HasPrefix([]byte(to), []byte("no")) {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.rcpts = append(s.rcpts, to)
	return nil
}

func (s *goSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(s.rcpts) == 0 {
		return errors.New("a text without recipients")
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	s.g.texts = append(s.g.texts, string(b))
	s.g.rcpts = append(s.g.rcpts, s.rcpts...)
	return nil
}

func startGoServer(t *testing.T, set func(*gosmtp.Server)) (*goServer, mail.Hop) {
	t.Helper()
	g := &goServer{}
	return g, startBackend(t, g, set)
}

func startBackend(t *testing.T, g gosmtp.Backend, set func(*gosmtp.Server)) mail.Hop {
	t.Helper()
	srv := gosmtp.NewServer(g)
	srv.Domain = "peer.test"
	set(srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() { _ = srv.Close(); wg.Wait() })
	kind := mail.HopSMTP
	if srv.LMTP {
		kind = mail.HopLMTP
	}
	return mail.Hop{Kind: kind, Network: "tcp", Address: l.Addr().String()}
}

// An independent server takes a stream of messages, in every way of sending,
// on one connection.
// Covers D1, D4, D9, D10, D13.
func TestAgainstGoSMTP(t *testing.T) {
	for _, lmtp := range []bool{false, true} {
		t.Run("lmtp="+strconv.FormatBool(lmtp), func(t *testing.T) {
			g, hop := startGoServer(t, func(s *gosmtp.Server) { s.LMTP = lmtp })
			var list []*mail.Delivery
			for i := range 60 {
				b := &text{data: []byte("Subject: " + strconv.Itoa(i) + "\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n")}
				switch i % 6 {
				case 1:
					b.data = append(b.data, bytes.Repeat([]byte("0123456789abcdef\r\n"), 9000)...)
				case 2:
					b.stored = true
				case 3:
					b.data, b.stored = append(b.data, bytes.Repeat([]byte(".123456789abcdef\r\n"), 9000)...), true
				}
				rcpts := []string{"a" + strconv.Itoa(i) + "@x.test", "no@x.test", "b@x.test"}
				if i%10 == 9 {
					rcpts = []string{"no1@x.test", "no2@x.test"}
				}
				list = append(list, delivery(b, "s@y.test", rcpts...))
			}
			src := newSource(t, list...)
			if err := outbound.New(outbound.Options{}).Serve(t.Context(), nil, &mail.Egress{Hop: hop}, src); err != nil {
				t.Fatal(err)
			}
			var want []string
			for i, d := range list {
				for j, o := range d.Outcomes {
					refused := string(d.Envelope.Recipients[j].Address[:2]) == "no"
					if refused != o.Permanent() || refused == o.OK() {
						t.Errorf("message %d recipient %d: %v", i, j, o)
					}
				}
				if d.Remote.Session != list[0].Remote.Session || d.Remote.Reused != (i > 0) {
					t.Errorf("message %d: remote %+v", i, d.Remote)
				}
				if i%10 != 9 {
					want = append(want, string(d.Body.(*text).data))
				}
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if len(g.texts) != len(want) {
				t.Fatalf("%d texts arrived, not %d", len(g.texts), len(want))
			}
			for i := range want {
				if g.texts[i] != want[i] {
					t.Errorf("text %d differs: %d bytes, not %d", i, len(g.texts[i]), len(want[i]))
				}
			}
			if len(g.rcpts) != 2*len(want) {
				t.Errorf("%d recipients, not %d", len(g.rcpts), 2*len(want))
			}
		})
	}
}

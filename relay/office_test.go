package relay

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/auth"
	"postrider/internal/mail"
	"postrider/relay/policy"
	"postrider/relay/smtpd"
)

// members are users whose password is "secret".
type members map[string][]string

func (m members) Lookup(_ context.Context, name string) (*auth.Entry, error) {
	senders, ok := m[name]
	if !ok {
		return nil, auth.ErrUnknown
	}
	return &auth.Entry{Name: name, Senders: senders, Verify: func(_ context.Context, p []byte) (bool, error) { return string(p) == "secret", nil }}, nil
}

// sent is one message as it left.
type sent struct{ sender, user, text string }

// office is an engine behind a listener at which users log in.
type office struct {
	t       *testing.T
	e       *Engine
	o       smtpd.Options
	address string
	left    chan sent
}

// newOffice opens one whose clients are trusted, or not, for where they are.
func newOffice(t *testing.T, trusted bool, handler func(*Engine) smtpd.Handler) *office {
	t.Helper()
	f := &office{t: t, left: make(chan sent, 1)}
	var ahead atomic.Int64
	f.e = stubEngine(t, &stubHop{serve: func(ctx context.Context, src mail.Source) error {
		for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
			text, err := io.ReadAll(d.Body.Reader())
			if err != nil {
				return err
			}
			left := sent{string(d.Envelope.Sender), string(d.Envelope.User), string(text)}
			d.SetRest(handedOver)
			src.Done(d)
			f.left <- left
		}
		return nil
	}}, 0, &ahead)
	f.e.o.Hostname = "mx.example"
	f.rules(trusted, Submission{CheckSender: true, Separator: '+'})
	users := auth.New(auth.Options{Databases: []auth.Database{members{
		"alice@here.example": {"info@here.example", "@alice.example"}, "bob@here.example": nil,
	}}, Domain: "here.example"})
	t.Cleanup(users.Close)
	f.o = smtpd.Options{
		Hostname: "mx.example", Handler: handler(f.e), Auth: users, ClearLogin: netip.Addr.IsLoopback, LineEndings: smtpd.Normalize,
		RequireLogin: handler(f.e).(*intake).submission, Limits: smtpd.Limits{Connections: -1, ConnectionsPerClient: -1},
	}
	s := smtpd.NewServer("office", nil, func() *smtpd.Options { return &f.o })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *office) rules(trusted bool, s Submission) {
	r := *f.e.rules.Load()
	r.Submission = s
	o := policy.Options{RelayDomains: []string{"x.example"}}
	if trusted {
		o.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	r.Access = policy.New(o)
	r.Resolve = nil
	f.e.setRules(&r)
}

// converse says EHLO and the lines, one by one, and returns the last reply to each.
// A line that begins with ":" is a text, which DATA is said before.
func (f *office) converse(user string, lines ...string) []string {
	f.t.Helper()
	nc, err := net.Dial("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		f.t.Fatal(err)
	}
	in := bufio.NewReader(nc)
	reply := func() string {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				f.t.Fatalf("%q: %v", line, err)
			}
			if line[3] == ' ' {
				return strings.TrimSpace(line)
			}
		}
	}
	say := func(text string) string {
		if _, err := io.WriteString(nc, text+"\r\n"); err != nil {
			f.t.Fatal(err)
		}
		return reply()
	}
	reply()
	say("EHLO client.example")
	if user != "" {
		if got := say("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00secret"))); got[:3] != "235" {
			f.t.Fatalf("login of %s: %s", user, got)
		}
	}
	var said []string
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, ":"); ok {
			if got := say("DATA"); got[:3] != "354" {
				f.t.Fatalf("DATA: %s", got)
			}
			line = text + "\r\n."
		}
		said = append(said, say(line))
	}
	return said
}

func (f *office) wait() sent {
	f.t.Helper()
	select {
	case m := <-f.left:
		return m
	case <-f.t.Context().Done():
	}
	return sent{}
}

func asSubmission(e *Engine) smtpd.Handler { return e.Submission() }
func asRelay(e *Engine) smtpd.Handler      { return e.Handler(false) }

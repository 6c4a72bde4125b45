//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"postrider/bench/target"
	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// letter is a message of a test, and its own body.
type letter struct{ text []byte }

func (l letter) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(l.text).ReadAt(p, off)
}
func (l letter) Size() int64       { return int64(len(l.text)) }
func (l letter) Bytes() []byte     { return l.text }
func (l letter) Reader() io.Reader { return bytes.NewReader(l.text) }

// letters are what each server is given: a stream of small ones, a large one, one
// in 8 bits, one with everything of RFC 3461, one of RFC 6531.
func letters() []*mail.Delivery {
	var list []*mail.Delivery
	add := func(text string, change func(*mail.Envelope), to ...string) {
		e := &mail.Envelope{}
		e.Sender = e.KeepString("sender@origin.test")
		for _, a := range to {
			e.AddRecipient([]byte(a), 0, nil)
		}
		if change != nil {
			change(e)
		}
		b := letter{[]byte(fmt.Sprintf("From: sender@origin.test\r\nMessage-Id: <%d@origin.test>\r\nDate: Sat, 28 Nov 2026 00:00:00 +0000\r\n", len(list)) + text)}
		d := &mail.Delivery{}
		d.Prepare(len(to))
		for i := range to {
			d.Recipients = append(d.Recipients, i)
		}
		d.Envelope, d.Body, d.Sender = e, b, e.Sender
		list = append(list, d)
	}
	for i := range 40 {
		add("Subject: small\r\n\r\n.\r\n..\r\n.dots\r\n"+strings.Repeat("line\r\n", 50*i), nil, "a@there.test", "b@there.test")
	}
	add("Subject: large\r\n\r\n"+strings.Repeat(".a line that begins with a dot\r\n", 20_000), nil, "a@there.test")
	add("Subject: eight\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nn\u00e4mlich\r\n",
		func(e *mail.Envelope) { e.EightBit = true }, "a@there.test")
	add("Subject: notices\r\n\r\nx\r\n", func(e *mail.Envelope) {
		e.Return, e.EnvelopeID = mail.ReturnHeaders, []byte("id+2B1")
		e.Recipients[0].Notify, e.Recipients[0].Original = mail.NotifyFailure|mail.NotifyDelay, []byte("rfc822;first@there.test")
	}, "a@there.test")
	add("Subject: \u00fcber\r\n\r\nx\r\n", func(e *mail.Envelope) { e.SMTPUTF8, e.EightBit = true, true }, "\u00fcmit@there.test")
	return list
}

// fixed is a source that gives a list.
type fixed struct{ list []*mail.Delivery }

func (s *fixed) Next(context.Context, time.Duration) *mail.Delivery {
	if len(s.list) == 0 {
		return nil
	}
	d := s.list[0]
	s.list = s.list[1:]
	return d
}

func (s *fixed) Done(*mail.Delivery) {}

// overheard notes what is written on connections.
type overheard struct {
	net.Conn
	sent *bytes.Buffer
	read *bytes.Buffer
}

func (o overheard) Write(p []byte) (int, error) {
	o.sent.Write(p)
	return o.Conn.Write(p)
}

func (o overheard) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	o.read.Write(p[:n])
	return n, err
}

// receivers are servers of other people, each in front of a collector that shows
// what became of what they took.
func receivers() map[string]func(t *testing.T, secure bool) (addr string, c *collector) {
	peer := func(name string) func(*testing.T, bool) (string, *collector) {
		return func(t *testing.T, secure bool) (string, *collector) {
			c := collect(t, false, false)
			return startTarget(t, name, target.Need{NextHop: c.addr, TLS: secure}).SMTP(), c
		}
	}
	return map[string]func(*testing.T, bool) (string, *collector){
		"postfix": peer("postfix"), "exim": peer("exim"), "opensmtpd": peer("opensmtpd"),
		"gosmtp": func(t *testing.T, secure bool) (string, *collector) {
			c := collect(t, secure, true)
			return c.addr, c
		},
	}
}

// moody offers STARTTLS, and as Debian 12 has it some of its starts end every
// handshake with an internal error, to any client and with any key.
const moody = "opensmtpd"

// Our client delivers to Postfix, Exim, OpenSMTPD and go-smtp over one connection,
// in clear and encrypted, with what each of them offers; every text arrives as it
// was.
// Covers D1, D9, D10, R8, S1, S6, D16, HO10.
func TestReceivers(t *testing.T) {
	for name, start := range receivers() {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s secure=%v", name, secure), func(t *testing.T) {
				addr, c := start(t, secure)
				var sent, read bytes.Buffer
				tr := outbound.New(outbound.Options{
					Hostname: "mta.example.org",
					Connect: func(ctx context.Context, network, address string) (net.Conn, error) {
						nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
						return overheard{nc, &sent, &read}, err
					},
				})
				level, verdict := mail.TLSNone, "clear"
				switch {
				case secure && name == moody:
					level, verdict = mail.TLSMay, "untrusted" // or "downgraded"
				case secure:
					level, verdict = mail.TLSEncrypt, "untrusted"
				}
				list := letters()
				eg := &mail.Egress{Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: addr}, TLS: mail.TLSPolicy{Level: level}}
				if err := tr.Serve(t.Context(), nil, eg, &fixed{list: list}); err != nil {
					t.Fatal(err)
				}
				if name == moody && list[0].Remote.TLSVerdict == "downgraded" {
					verdict = "downgraded"
				}
				offered := func(word string) bool { return strings.Contains(read.String(), word) }
				for i, d := range list {
					utf8 := d.Envelope.SMTPUTF8
					for _, o := range d.Outcomes {
						if lacking := utf8 && o.Permanent() && o.Enhanced.Subject == 6; !o.OK() && !lacking {
							t.Errorf("letter %d: %v", i, o)
						}
					}
					encrypted := verdict == "untrusted"
					switch r := d.Remote; {
					case r.TLSVerdict != verdict, encrypted != (r.TLS == "TLSv1.3"), encrypted != (r.Cipher != ""):
						t.Errorf("remote %+v", r)
					case !secure && r.DSN != offered("DSN"):
						t.Errorf("remote %+v", r)
					}
				}
				if !secure {
					if got := strings.Contains(sent.String(), "BDAT "); got != offered("CHUNKING") {
						t.Errorf("BDAT said: %v", got)
					}
					t.Logf("%s offers %.300q", name, read.String())
				}
				arrived(t, c, list)
			})
		}
	}
}

// arrived waits until the collector has every letter that was delivered, with its
// text at the end of what the server in between made of it.
func arrived(t *testing.T, c *collector, list []*mail.Delivery) {
	t.Helper()
	missing := ""
	ok := await(60*time.Second, func() bool {
		got := c.list()
		for i, d := range list {
			for j, o := range d.Outcomes {
				to := string(d.Envelope.Recipients[j].Address)
				if o.OK() && !holds(got, d.Body.Bytes(), to) {
					missing = fmt.Sprintf("letter %d to %s", i, to)
					return false
				}
			}
		}
		return true
	})
	if !ok {
		t.Errorf("%s did not arrive; %d messages did", missing, len(c.list()))
	}
}

func holds(got []collected, text []byte, to string) bool {
	for _, m := range got {
		for _, r := range m.to {
			if r == to && bytes.HasSuffix(m.text, text) {
				return true
			}
		}
	}
	return false
}

// What RFC 3461 and RFC 6531 add arrives at a server that knows both.
// Covers R8.
func TestParameters(t *testing.T) {
	c := collect(t, false, true)
	list := letters()
	list = list[len(list)-2:]
	eg := &mail.Egress{Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: c.addr}}
	if err := outbound.New(outbound.Options{}).Serve(t.Context(), nil, eg, &fixed{list: list}); err != nil {
		t.Fatal(err)
	}
	got := c.list()
	if len(got) != 2 {
		t.Fatalf("%d arrived: %v %v", len(got), list[0].Outcomes, list[1].Outcomes)
	}
	m, r := got[0].opts, got[0].rcpt[0]
	if m.Return != gosmtp.DSNReturnHeaders || m.EnvelopeID != "id+1" || len(r.Notify) != 2 || r.OriginalRecipient != "first@there.test" {
		t.Errorf("%+v %+v", m, r)
	}
	if !got[1].opts.UTF8 || got[1].to[0] != "\u00fcmit@there.test" {
		t.Errorf("%+v", got[1])
	}
}

// The daemon itself, with Exim and OpenSMTPD as its next hop, encrypts where it is
// offered and says so in its event log.
// Covers S1, S6.
func TestRelayToReceivers(t *testing.T) {
	for _, name := range []string{"exim", "opensmtpd", "postfix"} {
		t.Run(name, func(t *testing.T) {
			addr, c := receivers()[name](t, true)
			r := newRelay(t, t.TempDir(), "smtp:"+addr, "")
			r.start()
			const n = 20
			for range n {
				if _, err := sendOnce(r.addr); err != nil {
					t.Fatal(err)
				}
			}
			drained(t, r)
			if !await(30*time.Second, func() bool { return len(c.list()) == n }) {
				t.Errorf("%d arrived, not %d", len(c.list()), n)
			}
			told := func() int { // the log is written a moment later
				n := len(r.events(`"ev":"delivered"`, `"tls":"TLSv1.3"`, `"tls_policy":"may"`, `"tls_verdict":"untrusted"`))
				if name == moody {
					n += len(r.events(`"ev":"delivered"`, `"tls_policy":"may"`, `"tls_verdict":"downgraded"`))
				}
				return n
			}
			if !await(10*time.Second, func() bool { return told() == n }) {
				t.Errorf("%d lines tell of TLS; the deliveries:\n%s", told(), strings.Join(r.events(`"ev":"delivered"`), "\n"))
			}
		})
	}
}

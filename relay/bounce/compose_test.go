package bounce_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/bounce"
)

// original is a message's text.
type original []byte

func (o original) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(o).ReadAt(p, at) }
func (o original) Size() int64                            { return int64(len(o)) }
func (o original) Reader() io.Reader                      { return bytes.NewReader(o) }

func notice(kind bounce.Kind, sender string, recipients ...string) *bounce.Notice {
	env := &mail.Envelope{ID: mail.MakeID(1_700_000_000_000, 1, 2, 3), ArrivedMicro: 1_700_000_000_000_000}
	env.Sender = env.Keep([]byte(sender))
	n := &bounce.Notice{
		Kind: kind, Host: "relay.example", ID: mail.MakeID(1_700_000_600_000, 1, 2, 4), Now: time.UnixMicro(1_700_000_600_000_000).UTC(),
		Envelope: env, Original: original("From: a@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n"),
	}
	for i, r := range recipients {
		env.AddRecipient([]byte(r), 0, nil)
		n.Recipients = append(n.Recipients, bounce.Recipient{
			Index: i, Status: mail.NewStatus(550, 5, 1, 1, "no such user here, please look at the address again and again until you find it"), Class: mail.ClassNoUser, Remote: "mx.example.net",
			Attempts: 1, LastAttempt: n.Now,
		})
	}
	return n
}

// Every kind is a message that ends its lines in CRLF and goes from the null sender
// to the sender.
func TestKinds(t *testing.T) {
	for k := bounce.Failure; k <= bounce.Expanded; k++ {
		n := notice(k, "a@example.org", "b@example.net", "c@example.net")
		text, c, err := bounce.Compose(nil, n)
		if err != nil || c.Recipients != 2 || c.EightBit || c.SMTPUTF8 {
			t.Fatal(c, err)
		}
		if bytes.Count(text, []byte("\n")) != bytes.Count(text, []byte("\r\n")) {
			t.Errorf("%v: a bare LF", k)
		}
		var env mail.Envelope
		n.FillEnvelope(&env, c)
		if len(env.Sender) != 0 || string(env.Recipients[0].Address) != "a@example.org" || env.Recipients[0].Notify != mail.NotifyNever {
			t.Errorf("%v: %+v", k, env)
		}
	}
}

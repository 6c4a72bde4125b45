package bounce_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"postrider/internal/mail"
	"postrider/relay/bounce"
)

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

// original is a message's text.
type original []byte

func (o original) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(o).ReadAt(p, at) }
func (o original) Size() int64                            { return int64(len(o)) }
func (o original) Reader() io.Reader                      { return bytes.NewReader(o) }

// damaged is a text that does not match its checksum.
type damaged struct{ original }

func (d damaged) Reader() io.Reader {
	return io.MultiReader(bytes.NewReader(d.original), failing{mail.ErrCorrupt})
}

// unreadable is one that cannot be read at all.
type unreadable struct{ original }

var errDisk = errors.New("disk")

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errDisk }
func (unreadable) Reader() io.Reader                 { return failing{errDisk} }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

const plain = "From: a@example.org\r\nTo: b@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nthe body\r\n"

// notice is one about recipients that all had the same reply.
func notice(kind bounce.Kind, sender string, recipients ...string) *bounce.Notice {
	env := &mail.Envelope{ID: mail.MakeID(1_700_000_000_000, 1, 2, 3), ArrivedMicro: 1_700_000_000_000_000}
	env.Sender = env.Keep([]byte(sender))
	n := &bounce.Notice{
		Kind: kind, Host: "relay.example", ID: mail.MakeID(1_700_000_600_000, 1, 2, 4), Now: time.UnixMicro(1_700_000_600_000_000).UTC(),
		Envelope: env, Original: original(plain),
	}
	for i, r := range recipients {
		env.AddRecipient([]byte(r), 0, nil)
		n.Recipients = append(n.Recipients, bounce.Recipient{
			Index: i, Status: mail.NewStatus(550, 5, 1, 1, "no such user"), Class: mail.ClassNoUser, Remote: "mx.example.net",
			Attempts: 1, LastAttempt: n.Now,
		})
	}
	return n
}

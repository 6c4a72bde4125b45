package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"postrider/delivery/transfer"
)

// popMax bounds how many messages a server may have.
const popMax = 10_000_000

// POP3 is a mailbox of a POP3 server as a source: one INBOX, whose ids (UIDL) are
// kept, so that clients that leave mail on the server do not fetch it again.
type POP3 struct {
	server Server
	conn   *popConn // nil: not connected
	buf    []byte
}

// OpenPOP3 logs in.
func OpenPOP3(ctx context.Context, s Server) (*POP3, error) {
	conn, err := s.dialPOP3(ctx)
	if err != nil {
		return nil, err
	}
	return &POP3{server: s, conn: conn}, nil
}

// Close ends the session. Without QUIT nothing can have been deleted.
func (p *POP3) Close() error {
	if p.conn == nil {
		return nil
	}
	return p.conn.close()
}

// Origin names the server and the user.
func (p *POP3) Origin() string { return "pop3 " + p.server.host() + " " + p.server.User }

// Folders returns INBOX.
func (p *POP3) Folders(context.Context) ([]transfer.Folder, error) {
	return []transfer.Folder{{Name: "INBOX", Messages: -1, Subscribed: true}}, nil
}

// entry is a message as the server lists it.
type entry struct {
	transfer.Message
	number int
}

// list asks for the ids and sizes of all messages.
func (p *POP3) list() ([]entry, error) {
	var entries []entry
	at := make(map[int]int)
	err := p.conn.list("UIDL", func(number, id string) error {
		n, err := strconv.Atoi(number)
		if id = strings.TrimSpace(id); err != nil || n < 1 || id == "" || len(entries) >= popMax {
			return fmt.Errorf("UIDL: %.80q", number+" "+id)
		}
		at[n] = len(entries)
		entries = append(entries, entry{number: n, Message: transfer.Message{Key: id, UIDL: id, Name: fmt.Sprintf("message %d (%s)", n, id), SizeBytes: -1}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = p.conn.list("LIST", func(number, size string) error {
		n, err := strconv.Atoi(number)
		bytes, err2 := strconv.ParseInt(strings.TrimSpace(size), 10, 64)
		if i, ok := at[n]; ok && err == nil && err2 == nil && bytes >= 0 {
			entries[i].SizeBytes = bytes
		}
		return nil
	})
	return entries, err
}

// Messages gives the messages.
func (p *POP3) Messages(ctx context.Context, _ *transfer.Folder, want func([]*transfer.Message) ([]bool, error)) iter.Seq2[*transfer.Message, error] {
	return func(yield func(*transfer.Message, error) bool) {
		if err := p.messages(ctx, want, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (p *POP3) messages(ctx context.Context, want func([]*transfer.Message) ([]bool, error), yield func(*transfer.Message, error) bool) error {
	entries, err := p.list()
	if err != nil {
		return err
	}
	messages := make([]*transfer.Message, len(entries))
	for i := range entries {
		messages[i] = &entries[i].Message
	}
	wanted, err := want(messages)
	if err != nil {
		return err
	}
	fresh := true // the connection has brought nothing yet
	for i := 0; i < len(entries); i++ {
		if !wanted[i] {
			continue
		}
		err := p.fetch(&entries[i])
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil, errors.Is(err, ErrRefused), errors.Is(err, transfer.ErrTooLong):
			fresh = false
			if !yield(&entries[i].Message, err) {
				return nil
			}
		case fresh:
			return err
		default: // the connection broke: numbers are those of a session, ids are not
			if err := p.again(ctx, entries[i:]); err != nil {
				return err
			}
			fresh = true
			i--
		}
	}
	return nil
}

// fetch reads the text of a message.
func (p *POP3) fetch(e *entry) error {
	if e.number == 0 {
		return fmt.Errorf("%w: the message is no longer there", ErrRefused)
	}
	text, err := p.conn.retrieve(e.number, p.buf)
	if err != nil {
		return err
	}
	p.buf = text[:0]
	e.SizeBytes, e.Received = int64(len(text)), arrival(text)
	e.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	return nil
}

// again connects anew and learns the numbers that the rest has now.
func (p *POP3) again(ctx context.Context, rest []entry) error {
	err := p.conn.close()
	p.conn = nil
	if err != nil {
		return err
	}
	if p.conn, err = p.server.dialPOP3(ctx); err != nil {
		return err
	}
	now, err := p.list()
	if err != nil {
		return err
	}
	numbers := make(map[string]int, len(now))
	for i := range now {
		numbers[now[i].Key] = now[i].number
	}
	for i := range rest {
		rest[i].number = numbers[rest[i].Key]
	}
	return nil
}

// arrival is when a text says that it was received: the date of its first Received
// field; zero when there is none.
func arrival(text []byte) time.Time {
	const field = "received:"
	var value []byte
	for line := range bytes.Lines(text) {
		folded := line[0] == ' ' || line[0] == '\t'
		switch {
		case len(value) > 0 && (!folded || len(value) > lineMax):
			return dateOf(value)
		case len(value) > 0:
			value = append(value, line...)
		case len(bytes.TrimSpace(line)) == 0:
			return time.Time{}
		case len(line) > len(field) && bytes.EqualFold(line[:len(field)], []byte(field)):
			value = append(value, line...)
		}
	}
	return dateOf(value)
}

// dateOf reads the date behind the last semicolon of a Received field.
func dateOf(value []byte) time.Time {
	i := bytes.LastIndexByte(value, ';')
	if i < 0 || len(value)-i > 256 {
		return time.Time{}
	}
	at, err := mail.ParseDate(strings.Join(strings.Fields(string(value[i+1:])), " "))
	if err != nil {
		return time.Time{}
	}
	return at
}

var _ transfer.Source = (*POP3)(nil)

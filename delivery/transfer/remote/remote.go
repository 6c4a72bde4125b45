// Package remote lets a command use the mailboxes of a running daemon: a Handler,
// which the operator's socket serves, and a Client, which is the Store on the
// other side. The command reads and writes the files, so that the daemon needs
// rights to none of them.
//
// # Guarantees
//
// What Append has returned a result for is durable. A conversation that breaks off
// leaves it unknown what of the last batch was filed; an import that is repeated
// finds out.
//
// # Concurrency
//
// The Handler may be called from any goroutine, a Client too.
//
// # Format
//
// Requests are POST with JSON, or GET, below Path. A message travels as one line of
// JSON, in which "bytes" tells how long the text is that follows the line. An error
// is {"error": TEXT, "kind": TEXT}, the kind being that of an error of package
// mailbox that the other side shall know by errors.Is.
package remote

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/internal/mail"
)

// Path is where the handler must be served.
const Path = "/api/v1/mailboxes/"

// MaxBodyBytes bounds a request: a batch, or the longest text alone.
const MaxBodyBytes = transfer.MaxTextBytes + 16<<20

// frame is the line before a text.
type frame struct {
	transfer.Message
	ID    string `json:"id,omitempty"`
	Bytes int    `json:"bytes"`
	Name  string `json:"name,omitempty"`
	Error string `json:"error,omitempty"` // in the place of a text
	Last  bool   `json:"last,omitempty"`  // nothing follows: the listing is whole, or broke off with the error
}

// lineMax bounds a line of JSON: keywords and the like.
const lineMax = 1 << 20

// writeFrame writes a message.
func writeFrame(w io.Writer, f *frame, text []byte) error {
	f.Bytes = len(text)
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// readFrame reads a message; io.EOF when there are no more.
func readFrame(r *bufio.Reader) (*frame, []byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if err == nil {
			break
		}
		if err == io.EOF && len(line) == 0 {
			return nil, nil, io.EOF
		}
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > lineMax {
			return nil, nil, fmt.Errorf("message cut off: %w", err)
		}
	}
	var f frame
	if err := json.Unmarshal(line, &f); err != nil {
		return nil, nil, fmt.Errorf("message: %w", err)
	}
	if f.Bytes < 0 || f.Bytes > transfer.MaxTextBytes {
		return nil, nil, transfer.ErrTooLong
	}
	text := make([]byte, f.Bytes)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, nil, fmt.Errorf("message cut off: %w", err)
	}
	return &f, text, nil
}

// problem is an error on its way.
type problem struct {
	Error string `json:"error"`
	Kind  string `json:"kind,omitempty"`
}

// kinds are the errors that arrive as what they were.
func kinds() []error {
	return []error{
		mailbox.ErrNoAccount, mailbox.ErrNoMailbox, mailbox.ErrExists, mailbox.ErrName, mailbox.ErrInbox, mailbox.ErrTooMany,
		mailbox.ErrQuota, mailbox.ErrFull, mailbox.ErrClosed, mailbox.ErrDamaged,
	}
}

func problemOf(err error) problem {
	p := problem{Error: err.Error()}
	for _, kind := range kinds() {
		if errors.Is(err, kind) {
			p.Kind = kind.Error()
		}
	}
	return p
}

// err is the error that p was made of, as far as it can be known.
func (p *problem) err() error {
	for _, kind := range kinds() {
		if p.Kind == kind.Error() {
			if p.Error == p.Kind {
				return kind
			}
			return fmt.Errorf("%w (%s)", kind, p.Error)
		}
	}
	return errors.New(p.Error)
}

func idsOf(text []string) ([]mail.ID, error) {
	ids := make([]mail.ID, len(text))
	for i, t := range text {
		var err error
		if ids[i], err = mail.ParseID(t); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

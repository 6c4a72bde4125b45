package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postrider/internal/mail"
)

// A batch is filed together, with one sync.
const (
	batchMessages = 128
	batchBytes    = 4 << 20
)

// Progress tells how far a move is.
type Progress struct {
	Folder  string
	Done    int // of the folder: moved, known or failed
	Of      int // of the folder; -1: not known
	Bytes   int64
	Skipped int // of Done: known from an earlier run
}

// Report is what was moved.
type Report struct {
	Folders  int   `json:"folders"`
	Messages int   `json:"messages"` // moved now
	Known    int   `json:"known"`    // moved before
	Bytes    int64 `json:"bytes"`
	Failed   int   `json:"failed"` // messages and folders that were not moved
	// NewUIDs counts messages that could not keep their UID.
	NewUIDs int `json:"new_uids"`
}

// Import moves mail into an account.
type Import struct {
	From    Source
	To      Store
	Account string
	// Into puts all folders below this one; empty: INBOX becomes INBOX.
	Into string
	// Only restricts the import to folders with these names; empty: all.
	Only []string
	// Dry looks and tells, and files nothing.
	Dry bool
	// Progress is called after each batch; nil: nobody is.
	Progress func(Progress)
	// Failed is told of what could not be moved, and goes on; nil: nobody is.
	Failed func(name string, err error)

	report  Report
	batch   []Filing
	bytes   int64
	free    [][]byte // buffers of texts
	folder  string   // here
	keepUID bool
	settled bool
	done    Progress
}

// Run imports until all is there or ctx ends. The error is of the source or the
// store as a whole; what single messages met is in the report.
func (i *Import) Run(ctx context.Context) (Report, error) {
	folders, err := i.From.Folders(ctx)
	if err != nil {
		return i.report, err
	}
	slices.SortStableFunc(folders, func(a, b Folder) int { // INBOX first: it is what a user looks for
		return strings.Compare(sortName(a.Name), sortName(b.Name))
	})
	for k := range folders {
		f := &folders[k]
		if len(i.Only) > 0 && !slices.Contains(i.Only, f.Name) {
			continue
		}
		if f.Broken != nil {
			i.fail(f.Name, f.Broken)
			continue
		}
		if err := i.one(ctx, f); err != nil {
			if ctx.Err() != nil || errors.Is(err, errStore) {
				return i.report, err
			}
			i.fail(f.Name, err)
		}
		i.report.Folders++
	}
	return i.report, nil
}

func sortName(name string) string {
	if name == "INBOX" {
		return ""
	}
	return name
}

// errStore marks errors after which nothing more can be filed.
var errStore = errors.New("the store")

// one imports a folder.
func (i *Import) one(ctx context.Context, f *Folder) error {
	here := *f
	here.Name = i.place(f.Name)
	i.settled = false
	i.folder, i.done = here.Name, Progress{Folder: here.Name, Of: f.Messages}
	if !i.Dry {
		state, err := i.To.Prepare(ctx, i.Account, &here)
		if err != nil {
			return err
		}
		i.keepUID = f.UIDValidity != 0 && state.UIDValidity == f.UIDValidity
	}
	for m, err := range i.From.Messages(ctx, f, func(ms []*Message) ([]bool, error) { return i.want(ctx, f, ms) }) {
		switch {
		case m == nil:
			return errors.Join(err, i.flush(ctx))
		case err != nil:
			i.failMessage(m, err)
		default:
			if err := i.take(ctx, f, m); err != nil {
				return err
			}
		}
	}
	return i.settle(ctx, f)
}

// settle files what is left of the messages that keep their UIDs, and sees to it
// that none which the source has given to others is given again.
func (i *Import) settle(ctx context.Context, f *Folder) error {
	if err := i.flush(ctx); err != nil || i.settled || i.Dry || !i.keepUID || f.UIDNext == 0 {
		return err
	}
	i.settled = true
	if err := i.To.Settle(ctx, i.Account, i.folder, f.UIDNext); err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	return nil
}

// place returns the name of a source's folder here.
func (i *Import) place(name string) string {
	switch {
	case i.Into == "":
		return name
	case name == "INBOX":
		return i.Into
	}
	return i.Into + "/" + name
}

// want asks the store which messages it has not seen.
func (i *Import) want(ctx context.Context, f *Folder, ms []*Message) ([]bool, error) {
	want := make([]bool, len(ms))
	if i.Dry {
		i.report.Messages += len(ms)
		for _, m := range ms {
			i.report.Bytes += max(m.SizeBytes, 0)
		}
		return want, nil
	}
	ids := make([]mail.ID, len(ms))
	for k, m := range ms {
		ids[k] = i.id(f, m)
	}
	known, err := i.To.Known(ctx, i.Account, i.folder, ids)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	for k := range known {
		if want[k] = !known[k]; known[k] {
			i.report.Known++
			i.done.Done++
			i.done.Skipped++
		}
	}
	return want, nil
}

// id is what the store knows a message by.
func (i *Import) id(f *Folder, m *Message) mail.ID {
	return keyID(i.Account, i.folder, i.From.Origin(), f.Name+"\x00"+m.Key)
}

// take reads a message and files it with others.
func (i *Import) take(ctx context.Context, f *Folder, m *Message) error {
	text, err := i.read(m)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		i.failMessage(m, err)
		return nil
	}
	if m.UID == 0 && !i.settled { // from here on UIDs are made here
		if err := i.settle(ctx, f); err != nil {
			return err
		}
	}
	filing := Filing{Message: *m, Text: text, ID: i.id(f, m)}
	filing.Open = nil
	if !i.keepUID {
		filing.UID = 0
	}
	i.batch = append(i.batch, filing)
	if i.bytes += int64(len(text)); len(i.batch) >= batchMessages || i.bytes >= batchBytes {
		return i.flush(ctx)
	}
	return nil
}

func (i *Import) read(m *Message) ([]byte, error) {
	r, err := m.Open()
	if err != nil {
		return nil, err
	}
	var buf []byte
	if n := len(i.free); n > 0 {
		buf, i.free = i.free[n-1], i.free[:n-1]
	}
	if room := m.SizeBytes + m.SizeBytes/32 + 512; room > int64(cap(buf)) && room <= MaxTextBytes {
		buf = make([]byte, 0, room)
	}
	text, err := readText(r, buf)
	return text, errors.Join(err, closed(r))
}

func closed(c io.Closer) error { return c.Close() }

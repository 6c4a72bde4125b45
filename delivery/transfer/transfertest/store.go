// Package transfertest has a Store in memory, for tests of sources and sinks.
//
// # Concurrency
//
// Nothing here locks.
package transfertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
	"postrider/internal/mail"
)

// Box is a mailbox.
type Box struct {
	transfer.Folder
	Filed []transfer.Filing
	known map[mail.ID]bool
}

// Store keeps mailboxes of one account, whatever its name is. The zero value is
// ready.
type Store struct {
	Boxes []*Box
	// Refuse, when not nil, says why a message is not filed.
	Refuse func(*transfer.Filing) error
	// Broken, when not nil, is the error of every Append.
	Broken error
	// Appends counts calls of Append.
	Appends int
}

// Box returns a mailbox, nil when there is none.
func (s *Store) Box(name string) *Box {
	for _, b := range s.Boxes {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// Accounts returns one account.
func (s *Store) Accounts(context.Context) ([]string, error) {
	return []string{"user@example.test"}, nil
}

// Folders returns the mailboxes.
func (s *Store) Folders(context.Context, string) ([]transfer.Folder, error) {
	if len(s.Boxes) == 0 {
		return nil, mailbox.ErrNoAccount
	}
	var folders []transfer.Folder
	for _, b := range s.Boxes {
		f := b.Folder
		for _, m := range b.Filed {
			f.Messages++
			for _, word := range m.Keywords {
				if !slices.Contains(f.Keywords, word) {
					f.Keywords = append(f.Keywords, word)
				}
			}
		}
		folders = append(folders, f)
	}
	return folders, nil
}

// Prepare makes a mailbox.
func (s *Store) Prepare(_ context.Context, _ string, f *transfer.Folder) (transfer.Folder, error) {
	b := s.Box(f.Name)
	if b == nil {
		b = &Box{Folder: transfer.Folder{Name: f.Name, UIDValidity: 77, UIDNext: 1, Use: f.Use, Subscribed: f.Subscribed}}
		s.Boxes = append(s.Boxes, b)
	}
	if b.UIDNext == 1 && f.UIDValidity != 0 {
		b.UIDValidity = f.UIDValidity
	}
	return b.Folder, nil
}

// Known says what was filed.
func (s *Store) Known(_ context.Context, _, folder string, ids []mail.ID) ([]bool, error) {
	known := make([]bool, len(ids))
	for i, id := range ids {
		known[i] = s.Box(folder).known[id]
	}
	return known, nil
}

// Append files messages.
func (s *Store) Append(_ context.Context, _, folder string, batch []transfer.Filing) ([]transfer.Result, error) {
	s.Appends++
	if s.Broken != nil {
		return nil, s.Broken
	}
	b := s.Box(folder)
	results := make([]transfer.Result, len(batch))
	for i := range batch {
		f := batch[i]
		f.Text = bytes.Clone(f.Text)
		if s.Refuse != nil {
			if err := s.Refuse(&f); err != nil {
				results[i].Error = err.Error()
				continue
			}
		}
		if f.UID < b.UIDNext {
			f.UID = b.UIDNext
		}
		b.UIDNext = max(b.UIDNext, f.UID+1)
		results[i].UID = f.UID
		b.Filed = append(b.Filed, f)
		if b.known == nil {
			b.known = make(map[mail.ID]bool)
		}
		b.known[f.ID] = true
	}
	return results, nil
}

// Settle raises UIDNEXT.
func (s *Store) Settle(_ context.Context, _, folder string, uidNext uint32) error {
	b := s.Box(folder)
	b.UIDNext = max(b.UIDNext, uidNext)
	return nil
}

// Messages gives what was filed.
func (s *Store) Messages(_ context.Context, _ string, f *transfer.Folder) iter.Seq2[*transfer.Message, error] {
	return func(yield func(*transfer.Message, error) bool) {
		for _, filed := range s.Box(f.Name).Filed {
			m := filed.Message
			m.SizeBytes = int64(len(filed.Text))
			m.Name = fmt.Sprint("UID ", m.UID)
			m.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(filed.Text)), nil }
			if !yield(&m, nil) {
				return
			}
		}
	}
}

var _ transfer.Store = (*Store)(nil)

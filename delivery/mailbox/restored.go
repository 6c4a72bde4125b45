package mailbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"postrider/delivery/mailbox/internal/record"
	"postrider/internal/spool"
)

// restoredName is the file that tells Open that clients may know of messages that
// the store does not: it was restored from a backup, or its index was made anew from
// a log with holes. Every mailbox gets another UIDVALIDITY then (RFC 3501 section
// 2.3.1.1), since UIDs may be given again.
const (
	restoredName    = "restored"
	restoredVersion = "1\n"
)

func markRestored(s *Store, dir string) error {
	return spool.ReplaceFile(s.fs, dir, restoredName, []byte(restoredVersion))
}

// openRestored gives every mailbox another UIDVALIDITY if the folder bears the mark.
func (s *Store) openRestored() error {
	p, err := spool.ReadFile(s.fs, s.o.Dir, restoredName)
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", restoredName, err)
	case p == nil:
		return nil
	case string(p) != restoredVersion:
		return fmt.Errorf("%w: %s", ErrVersion, restoredName)
	}
	names, err := s.Accounts()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.revalidate(name); err != nil && !errors.Is(err, ErrNoAccount) {
			return fmt.Errorf("raise UIDVALIDITY of %s: %w", name, err)
		}
	}
	return errors.Join(s.fs.Remove(s.fs.PathJoin(s.o.Dir, restoredName)), syncDir(s.fs, s.o.Dir))
}

func (s *Store) revalidate(name string) error {
	a, err := s.account(name)
	if err != nil {
		return err
	}
	return a.alterInTurn(context.Background(), func(o *op) error {
		for _, m := range a.sorted {
			a.lastValidity = s.validity(a.lastValidity)
			p := m.partLocked()
			p.UIDValidity = a.lastValidity
			o.head = record.AppendMailbox(o.head, &p)
		}
		return nil
	})
}

// keeper keeps the files of large texts while a backup is made.
type keeper struct {
	mu sync.Mutex
	// guards following
	keeping bool
	later   []uint64 // to be removed then
}

// keeps reports whether the file of a blob has to stay for now.
func (k *keeper) keeps(blob uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keeping {
		k.later = append(k.later, blob)
	}
	return k.keeping
}

// begin keeps files from now on; end returns those that may go.
func (k *keeper) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keeping = true
}

func (k *keeper) end() []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	later := k.later
	k.keeping, k.later = false, nil
	return later
}

package mailbox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// Rename renames a mailbox and those below it. Of INBOX it moves what is in it to
// a new mailbox, and leaves INBOX empty (RFC 9051 section 6.3.6): INBOX is then
// another mailbox, with another UIDVALIDITY.
func (a *Account) Rename(ctx context.Context, from, to string) error {
	from, err := boxName(from)
	if err != nil {
		return ErrNoMailbox
	}
	if to, err = boxName(to); err != nil {
		return err
	}
	if strings.HasPrefix(to, from+string(separator)) && from != inbox {
		return fmt.Errorf("%w: below itself", ErrName)
	}
	return a.inTurn(ctx, grows, func() error {
		moves, err := a.moves(from, to)
		if err != nil {
			return err
		}
		return a.alterInTurn(ctx, func(o *op) error {
			for _, v := range moves {
				p := v.m.partLocked()
				p.Name = []byte(v.name)
				if v.taken {
					a.lastValidity = a.s.validity(a.lastValidity)
					p.UIDValidity = a.lastValidity
				}
				o.head = record.AppendMailbox(o.head, &p)
			}
			if from == inbox {
				a.newBoxLocked(o, inbox, Attributes(0))
			}
			return nil
		})
	})
}

// move is a mailbox that gets another name.
type move struct {
	m     *Mailbox
	name  string
	taken bool // another mailbox of that name had the same UIDVALIDITY
}

// moves returns what a Rename has to do, for the mailbox, which need not exist when
// others are below it, and for those. The caller has the account's turn.
func (a *Account) moves(from, to string) ([]move, error) {
	a.mu.Lock()
	all, names := a.sorted, a.byName
	a.mu.Unlock()
	if names[to] != nil {
		return nil, ErrExists
	}
	var moves []move
	for _, m := range all {
		name := m.Name()
		if name != from && (from == inbox || !strings.HasPrefix(name, from+string(separator))) {
			continue
		}
		name, err := boxName(to + name[len(from):])
		if err != nil {
			return nil, err
		}
		if names[name] != nil {
			return nil, ErrExists
		}
		taken, err := m.validityTaken(name, m.Status().UIDValidity)
		if err != nil {
			return nil, err
		}
		moves = append(moves, move{m, name, taken})
	}
	if len(moves) == 0 {
		return nil, ErrNoMailbox
	}
	return moves, nil
}

// validityTaken reports whether another mailbox has or had this name and UIDVALIDITY.
func (m *Mailbox) validityTaken(name string, validity uint32) (bool, error) {
	var id uint32
	found, err := get(m.a.s.db, rows.ValidityKey(nil, m.a.id, validity, name), func(v []byte) (err error) {
		id, err = rows.ParseID(v)
		return err
	})
	return found && id != m.id, err
}

// Delete removes a mailbox, not those below it. What is filed into it from now on
// is refused.
func (a *Account) Delete(ctx context.Context, name string) error {
	m, err := a.Mailbox(name)
	if err != nil {
		return err
	}
	return a.alter(ctx, frees, func(o *op) error {
		if m.gone {
			return ErrNoMailbox
		}
		if m.info.Name == inbox {
			return ErrInbox
		}
		p := m.partLocked()
		p.Deleted = true
		o.head = record.AppendMailbox(o.head, &p)
		m.gone = true
		o.undo = func() { m.gone = false }
		return nil
	})
}

// maxImportedValidity leaves room above an imported UIDVALIDITY for those to come.
const maxImportedValidity = 1<<32 - 1<<24

// SetUIDValidity gives the mailbox that of an import, while its UIDNEXT is 1. It
// must not be one that the name has had before (ErrUID).
func (m *Mailbox) SetUIDValidity(ctx context.Context, uidValidity uint32) error {
	a := m.a
	return a.inTurn(ctx, frees, func() error {
		taken, err := m.validityTaken(m.Name(), uidValidity)
		if err != nil {
			return err
		}
		return a.alterInTurn(ctx, func(o *op) error {
			switch {
			case m.gone:
				return ErrNoMailbox
			case m.validity == uidValidity:
				return nil
			case taken || uidValidity == 0 || uidValidity > maxImportedValidity || m.uidNext != 1:
				return ErrUID
			}
			a.lastValidity = max(a.lastValidity, uidValidity)
			p := m.partLocked()
			p.UIDValidity = uidValidity
			o.head = record.AppendMailbox(o.head, &p)
			return nil
		})
	})
}

// TakeRecent returns the UIDs, none perhaps, that no session was told of as recent, and
// says that the caller tells of them (RFC 3501 section 2.3.2). It does not wait for the
// disk: after a crash they may be recent once more. It is no change that watchers are
// told of.
func (m *Mailbox) TakeRecent() Range {
	a := m.a
	if a.s.begin() != nil {
		return Range{1, 0}
	}
	defer a.s.leave()
	a.mu.Lock()
	defer a.mu.Unlock()
	from, next := max(m.status.RecentFrom, m.recent), m.status.UIDNext
	if next > from && !m.gone {
		m.recent = next
		o := a.s.newOp(false)
		o.head = record.AppendState(o.head, &record.State{Box: m.box(), RecentFrom: next})
		o.accounts, o.reserved = append(o.accounts, a), append(o.reserved, reservation{})
		o.after = o.free
		o.appendLazy()
	}
	return Range{from, next - 1}
}

// normal returns ranges rising, without overlaps, and none beyond last.
func normal(ranges []Range, last uint32) []Range {
	out := make([]Range, 0, len(ranges))
	for _, r := range ranges {
		if r.To = min(r.To, last); r.From <= r.To {
			r.From = max(r.From, 1)
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Range) int { return int(int64(a.From) - int64(b.From)) })
	n := 0
	for _, r := range out {
		if n > 0 && r.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out[n] = r
		n++
	}
	return out[:n]
}

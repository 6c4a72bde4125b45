package mailbox

import (
	"context"
	"fmt"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

// Copy copies messages into a mailbox of the same account, all or none. The copies
// share the texts.
func (m *Mailbox) Copy(ctx context.Context, uids []Range, to *Mailbox) ([]UIDPair, error) {
	return m.copy(ctx, uids, to, false)
}

// Move is Copy and removes them here in the same step (RFC 6851).
func (m *Mailbox) Move(ctx context.Context, uids []Range, to *Mailbox) ([]UIDPair, error) {
	return m.copy(ctx, uids, to, true)
}

func (m *Mailbox) copy(ctx context.Context, uids []Range, to *Mailbox, move bool) ([]UIDPair, error) {
	if to.a != m.a {
		return nil, fmt.Errorf("%w: in another account", ErrNoMailbox)
	}
	why := grows
	if move {
		why = frees
	}
	var pairs []UIDPair
	err := m.a.inTurn(ctx, why, func() error {
		all, err := m.find(uids)
		if err != nil {
			return err
		}
		heads, err := m.heads(all)
		if err != nil {
			return err
		}
		words := m.Keywords(nil)
		return m.a.alterInTurn(ctx, func(o *op) error {
			if m.gone || to.gone {
				return ErrNoMailbox
			}
			if move {
				m.expungeLocked(o, all, 0)
			} else if err := reserveCopies(o, m.a, all); err != nil {
				return err
			}
			pairs, err = to.copiesLocked(o, all, heads, words, m)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

// heads reads the prefixes of messages; nil for those without.
func (m *Mailbox) heads(all []found) ([][]byte, error) {
	heads := make([][]byte, len(all))
	for i := range all {
		e := &all[i]
		if e.row.PrefixLen == 0 {
			continue
		}
		_, err := get(m.a.s.db, rows.HeadKey(nil, m.a.id, m.id, e.uid), func(v []byte) error {
			p, _, err := rows.ParseHead(v)
			heads[i] = append([]byte(nil), p...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return heads, nil
}

func reserveCopies(o *op, a *Account, all []found) error {
	var r reservation
	for i := range all {
		r.bytes += int64(all[i].row.Size)
		r.messages++
	}
	if err := a.fitsLocked(r); err != nil {
		return err
	}
	o.reserveLocked(a, r)
	return nil
}

// copiesLocked writes the parts of messages that come from another mailbox, whose
// keywords are words.
func (m *Mailbox) copiesLocked(o *op, all []found, heads [][]byte, words []string, from *Mailbox) ([]UIDPair, error) {
	if int64(m.uidNext)+int64(len(all)) > 1<<32-2 {
		return nil, ErrUID
	}
	now := m.a.s.o.Clock().Unix()
	pairs := make([]UIDPair, 0, len(all))
	var names []string
	for i := range all {
		row := &all[i].row
		e := record.Entry{
			Box: m.box(), UID: m.uidNext, Flags: row.Flags, More: row.More, Blob: row.Blob, Variant: row.Variant, Size: int64(row.Size),
			Received: row.Received, Saved: now, Prefix: heads[i],
		}
		if keywords := row.Flags &^ uint32(SystemFlags); m != from && (keywords != 0 || row.More != 0) {
			names = keywordNames(names[:0], words, row)
			var flags uint32
			o.head, flags, e.More = m.someKeywordsLocked(o.head, names)
			e.Flags = row.Flags&uint32(SystemFlags) | flags
		}
		m.uidNext++
		m.modSeq++
		e.ModSeq = m.modSeq
		o.head = record.AppendEntry(o.head, &e)
		pairs = append(pairs, UIDPair{all[i].uid, e.UID})
	}
	return pairs, nil
}

// keywordNames appends the names of a message's keywords.
func keywordNames(dst, words []string, row *rows.Entry) []string {
	for i, w := range words {
		switch {
		case i < WordKeywords && row.Flags&(1<<(FirstKeyword+i)) != 0, i >= WordKeywords && row.More&(1<<(i-WordKeywords)) != 0:
			dst = append(dst, w)
		}
	}
	return dst
}

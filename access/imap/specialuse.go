package imap

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"postrider/delivery/mailbox"
)

// entrySpecialUse is the entry of a mailbox's metadata that is its special uses (RFC
// 6154 section 4): it is not kept beside them.
const entrySpecialUse = "/private/specialuse"

// noteKeeper is an account or a mailbox, as a keeper of metadata.
type noteKeeper interface {
	Metadata(dst []mailbox.Metadata) ([]mailbox.Metadata, error)
	MetadataVersion() uint64
}

// keeper finds what keeps the metadata of a mailbox, or with an empty name of the
// account, whose entries stand for the server's.
func (s *session) keeper(name []byte) (noteKeeper, string, reply) {
	if len(name) == 0 {
		return s.account, "", reply{}
	}
	box, r := s.mailbox(name)
	if box == nil {
		return nil, "", r
	}
	return usedBox{box, s.account}, box.Name(), reply{}
}

// usedBox is a mailbox whose metadata tells its special uses.
type usedBox struct {
	*mailbox.Mailbox
	account *mailbox.Account
}

// Metadata appends the entries, among them that of the special uses.
func (u usedBox) Metadata(dst []mailbox.Metadata) ([]mailbox.Metadata, error) {
	dst, err := u.Mailbox.Metadata(dst)
	if err != nil {
		return dst, err
	}
	var names []string
	for use := mailbox.UseAll; use <= mailbox.UseImportant; use <<= 1 {
		if u.uses()&use != 0 {
			names = append(names, useName(use))
		}
	}
	if len(names) == 0 {
		return dst, nil
	}
	return append(dst, mailbox.Metadata{Name: entrySpecialUse, Value: []byte(strings.Join(names, " "))}), nil
}

// uses are the special uses of the mailbox.
func (u usedBox) uses() mailbox.Attributes {
	for _, info := range u.account.Mailboxes(nil) {
		if info.ID == u.ID() {
			return info.Attributes
		}
	}
	return 0
}

// set changes entries. What the uses may not be is said before anything is changed (RFC
// 5464 section 4.3).
func (u usedBox) set(ctx context.Context, changes []mailbox.Metadata) (r reply, err error) {
	rest, use, given, r := u.takeUses(changes)
	if !r.good() {
		return r, nil
	}
	if len(rest) > 0 {
		if err := u.SetMetadata(ctx, rest); err != nil {
			return r, err
		}
	}
	if !given {
		return r, nil
	}
	return r, u.account.SetAttributes(ctx, u.Name(), use)
}

// takeUses takes the special uses out of changes. A mailbox can be given what CREATE could
// give it.
func (u usedBox) takeUses(changes []mailbox.Metadata) (rest []mailbox.Metadata, use mailbox.Attributes, given bool, r reply) {
	for _, c := range changes {
		if c.Name != entrySpecialUse {
			rest = append(rest, c)
			continue
		}
		use, given = 0, true
		for _, word := range bytes.Fields(c.Value) {
			one := useOf(word)
			if one == 0 {
				return nil, 0, false, no("USEATTR", "No mailbox can have this use here")
			}
			use |= one
		}
	}
	taken := func(b mailbox.Info) bool { return b.ID != u.ID() && b.Attributes&use != 0 }
	if use != 0 && slices.ContainsFunc(u.account.Mailboxes(nil), taken) {
		return nil, 0, false, no("USEATTR", "Another mailbox has this use")
	}
	return rest, use, given, reply{}
}

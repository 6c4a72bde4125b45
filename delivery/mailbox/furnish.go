package mailbox

import (
	"context"
	"slices"
	"strings"

	"postrider/delivery/mailbox/internal/record"
)

// furnishedNote is the entry of an account's metadata that says that it was furnished.
// No client can name it: the names of theirs begin with a slash.
const furnishedNote = "furnished"

// Furnish gives the account the mailboxes that clients look for, each with its special
// use, and subscribes to them, in one step and once only: what the user then deletes
// stays away. A use that a mailbox has already is not given to another, and a mailbox
// of that name, in any case, that has none gets it.
func (a *Account) Furnish(ctx context.Context, boxes []Info) error {
	if done, _, _, err := a.furnished(); done || err != nil {
		return err
	}
	return a.inTurn(ctx, grows, func() error {
		done, version, notes, err := a.furnished()
		if done || err != nil {
			return err
		}
		notes, err = noted(notes, []Metadata{{Name: furnishedNote, Value: []byte("1")}}, version+1)
		if err != nil {
			return err
		}
		return a.alterInTurn(ctx, func(o *op) error {
			subs := slices.Clone(a.subs)
			for i := range boxes {
				name, err := boxName(boxes[i].Name)
				if err != nil {
					return err
				}
				if name = a.furnishLocked(o, name, boxes[i].Attributes); name != "" {
					subs = append(subs, name)
				}
			}
			slices.Sort(subs)
			if subs = slices.Compact(subs); len(subs) != len(a.subs) {
				o.head = record.AppendSubscriptions(o.head, a.id, a.subsVersion+1, subs)
			}
			o.head = record.AppendMetadata(o.head, record.Box{Account: a.id}, version+1, notes)
			return nil
		})
	})
}

// furnished says whether that was done, and with what the account's metadata goes on.
func (a *Account) furnished() (done bool, version uint64, notes []record.Note, err error) {
	if err := a.s.begin(); err != nil {
		return false, 0, nil, err
	}
	defer a.s.leave()
	if a.MetadataVersion() == 0 {
		return false, 0, nil, nil
	}
	version, notes, err = a.keeper().notes()
	done = slices.ContainsFunc(notes, func(n record.Note) bool { return string(n.Name) == furnishedNote && n.There })
	return done, version, notes, err
}

// furnishLocked sees to it that a mailbox has the use; it returns the name to subscribe
// to, or nothing.
func (a *Account) furnishLocked(o *op, name string, use Attributes) string {
	var there *Mailbox
	for _, m := range a.sorted {
		if use != 0 && m.info.Attributes&use != 0 {
			return ""
		}
		if strings.EqualFold(m.info.Name, name) {
			there = m
		}
	}
	switch {
	case there == nil && len(a.sorted) < maxMailboxes:
		a.newBoxLocked(o, name, use)
		return name
	case there == nil:
		return ""
	case there.info.Attributes == 0 && use != 0 && !there.gone:
		p := there.partLocked()
		p.Attributes = uint16(use)
		o.head = record.AppendMailbox(o.head, &p)
	}
	return there.info.Name
}

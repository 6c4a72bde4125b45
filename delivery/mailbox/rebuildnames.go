package mailbox

import (
	"bytes"
	"fmt"
	"slices"

	"postrider/delivery/mailbox/internal/record"
	"postrider/internal/spool"
)

// names collects the accounts and mailboxes that a log speaks of: of each the part
// with the highest version.
type names struct {
	accounts map[uint32]*record.Account
	boxes    map[record.Box]*record.Mailbox
	reader   record.Reader
	part     record.Part
}

func newNames() *names {
	return &names{accounts: make(map[uint32]*record.Account), boxes: make(map[record.Box]*record.Mailbox)}
}

// take is a replay function of spool.Open.
func (n *names) take(r *spool.Recovered) error {
	if r.Kind != record.Kind {
		return fmt.Errorf("%w: record of kind %d", ErrVersion, r.Kind)
	}
	if err := n.reader.Reset(r.Payload[:len(r.Payload)-len(r.Body)]); err != nil {
		return err
	}
	for {
		more, err := n.reader.Next(&n.part)
		if err != nil || !more {
			return err
		}
		switch n.part.Kind {
		case record.KindAccount:
			n.account(n.part.Account)
		case record.KindMailbox:
			n.mailbox(n.part.Mailbox)
		}
	}
}

func (n *names) account(p record.Account) {
	have := n.accounts[p.ID]
	if have == nil {
		have = &record.Account{ID: p.ID}
		n.accounts[p.ID] = have
	}
	p.LastValidity, p.NextMailbox = max(p.LastValidity, have.LastValidity), max(p.NextMailbox, have.NextMailbox)
	if have.Deleted || p.Version <= have.Version {
		have.LastValidity, have.NextMailbox = p.LastValidity, p.NextMailbox
		return
	}
	p.Name = bytes.Clone(p.Name)
	*have = p
}

func (n *names) mailbox(p record.Mailbox) {
	if have := n.boxes[p.Box]; have != nil && (have.Deleted || p.Version <= have.Version) {
		return
	}
	p.Name = bytes.Clone(p.Name)
	n.boxes[p.Box] = &p
}

// apply brings in those that were not deleted.
func (n *names) apply(ap *applier) error {
	for _, p := range n.accounts {
		ap.s.raiseNextAccount(p.ID + 1)
		if p.Deleted {
			continue
		}
		if err := ap.applyAccount(p); err != nil {
			return err
		}
	}
	boxes := make([]*record.Mailbox, 0, len(n.boxes))
	for _, p := range n.boxes {
		if !p.Deleted {
			boxes = append(boxes, p)
		}
	}
	// The rows of older UIDVALIDITYs first, as they came to be.
	slices.SortFunc(boxes, func(a, b *record.Mailbox) int { return int(int64(a.UIDValidity) - int64(b.UIDValidity)) })
	for _, p := range boxes {
		if err := ap.applyMailbox(p); err != nil {
			return err
		}
	}
	return nil
}

package imap

import (
	"cmp"
	"slices"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// vanishedSince returns the UIDs in known, which are sorted, that were expunged after
// the mod-sequence since. When so much is no longer remembered it is all that are not
// there (RFC 7162 section 3.2.5.1 lets a server say more than needed).
func (x *selection) vanishedSince(since uint64, known []imapwire.Range) ([]imapwire.Range, error) {
	var gone []imapwire.Range
	complete, err := x.box.Vanished(since, func(r mailbox.Range) {
		gone = append(gone, imapwire.Range{From: r.From, To: r.To})
	})
	if err != nil {
		return nil, err
	}
	if !complete {
		gone = x.absent()
	}
	slices.SortFunc(gone, func(a, b imapwire.Range) int { return cmp.Compare(a.From, b.From) })
	return intersect(imapwire.Join(gone), known), nil
}

// absent returns the UIDs below the last message's that no message has.
func (x *selection) absent() (gone []imapwire.Range) {
	next := uint32(1)
	x.view.Each(0, func(_ int, e mailbox.Entry) bool {
		if e.UID > next {
			gone = append(gone, imapwire.Range{From: next, To: e.UID - 1})
		}
		next = e.UID + 1
		return true
	})
	if last := x.box.Status().UIDNext; last > next {
		gone = append(gone, imapwire.Range{From: next, To: last - 1})
	}
	return gone
}

// intersect returns what is in both; both are sorted and joined.
func intersect(a, b []imapwire.Range) (out []imapwire.Range) {
	for len(a) > 0 && len(b) > 0 {
		from, to := max(a[0].From, b[0].From), min(a[0].To, b[0].To)
		if from <= to {
			out = append(out, imapwire.Range{From: from, To: to})
		}
		if a[0].To < b[0].To {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

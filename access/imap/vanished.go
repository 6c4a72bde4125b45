package imap

import (
	"cmp"
	"slices"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// vanishedSince returns the UIDs in known, which are sorted, that were expunged after
// the mod-sequence since, and are not in the view: what still is will be told when the
// view is brought up to date. When so much is no longer remembered it is all below
// next that are not there (RFC 7162 section 3.2.5.1 lets a server say more than
// needed); next is a UIDNEXT from before the view.
func (x *selection) vanishedSince(since uint64, known []imapwire.Range, next uint32) ([]imapwire.Range, error) {
	var gone []imapwire.Range
	complete, err := x.box.Vanished(since, func(r mailbox.Range) {
		gone = append(gone, imapwire.Range{From: r.From, To: r.To})
	})
	if err != nil {
		return nil, err
	}
	if !complete {
		gone = x.absent(next)
	}
	slices.SortFunc(gone, func(a, b imapwire.Range) int { return cmp.Compare(a.From, b.From) })
	return x.notShown(intersect(imapwire.Join(gone), known)), nil
}

// absent returns the UIDs below next that no message of the view has.
func (x *selection) absent(next uint32) (gone []imapwire.Range) {
	return x.notShown([]imapwire.Range{{From: 1, To: next - 1}})
}

// notShown returns what of the ranges is not in the view.
func (x *selection) notShown(ranges []imapwire.Range) (rest []imapwire.Range) {
	for _, r := range ranges {
		from := uint64(r.From)
		i, _ := x.view.Find(r.From)
		for ; i < x.view.Len() && x.view.At(i).UID <= r.To; i++ {
			uid := x.view.At(i).UID
			if uint64(uid) > from {
				rest = append(rest, imapwire.Range{From: uint32(from), To: uid - 1})
			}
			from = uint64(uid) + 1
		}
		if from <= uint64(r.To) {
			rest = append(rest, imapwire.Range{From: uint32(from), To: r.To})
		}
	}
	return rest
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

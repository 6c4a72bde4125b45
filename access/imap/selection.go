package imap

import (
	"postrider/delivery/mailbox"
)

// selection is the selected mailbox.
type selection struct {
	box      *mailbox.Mailbox
	view     *mailbox.View
	readOnly bool
	recent   []mailbox.Range // UIDs of which this session was told first, rising
	saved    []mailbox.Range // UIDs that SEARCH saved (RFC 5182)
	words    []string        // the mailbox's keywords that the client was told of
	telling  telling
}

// maxRecent bounds the ranges of recent messages: with more of them the oldest are
// recent no longer.
const maxRecent = 32

// isRecent reports that the session shows a message as \Recent (RFC 3501 section
// 2.3.2).
func (x *selection) isRecent(uid uint32) bool {
	for i := len(x.recent) - 1; i >= 0; i-- {
		if r := x.recent[i]; uid >= r.From {
			return uid <= r.To
		}
	}
	return false
}

// takeRecent makes recent here what no session was told of. One that only looks shows it
// too, but leaves it to the next (RFC 3501 section 6.3.2).
func (x *selection) takeRecent() {
	var fresh mailbox.Range
	if x.readOnly {
		status := x.box.Status()
		fresh = mailbox.Range{From: status.RecentFrom, To: status.UIDNext - 1}
	} else {
		fresh = x.box.TakeRecent()
	}
	if fresh.From > fresh.To {
		return
	}
	if n := len(x.recent); n > 0 && x.recent[n-1].To >= fresh.From-1 {
		x.recent[n-1].To = max(x.recent[n-1].To, fresh.To)
		return
	}
	x.recent = append(x.recent, fresh)
	if len(x.recent) > maxRecent {
		x.recent = append(x.recent[:0], x.recent[1:]...)
	}
}

// countRecent counts the recent messages of the view.
func (x *selection) countRecent() int {
	n := 0
	for _, r := range x.recent {
		i, _ := x.view.Find(r.From)
		j, found := x.view.Find(r.To)
		if found {
			j++
		}
		n += j - i
	}
	return n
}

// lastUID is the highest UID of the view, 0 when it is empty.
func (x *selection) lastUID() uint32 {
	if n := x.view.Len(); n > 0 {
		return x.view.At(n - 1).UID
	}
	return 0
}

// deselect gives the selected mailbox back.
func (s *session) deselect() {
	if s.sel != nil {
		s.sel.view.Close()
		s.sel = nil
	}
}

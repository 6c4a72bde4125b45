package imap

import (
	"postrider/delivery/mailbox"
)

// selection is the selected mailbox.
type selection struct {
	box      *mailbox.Mailbox
	view     *mailbox.View
	readOnly bool
	// recent are the UIDs of which this session was told first, rising. The last range
	// goes on to what has not come yet.
	recent []mailbox.Range
	saved  []mailbox.Range // UIDs that SEARCH saved (RFC 5182)
	words  []string        // the mailbox's keywords that the client was told of
	exists int             // messages that the client was told of
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

// takeRecent makes what nobody was told of recent here. A session that only looks tells
// of it too, but leaves it to the next (RFC 3501 section 6.3.2).
func (x *selection) takeRecent() {
	if x.readOnly {
		if len(x.recent) == 0 {
			x.recent = append(x.recent, mailbox.Range{From: x.box.Status().RecentFrom, To: 1<<32 - 1})
		}
		return
	}
	from := x.box.TakeRecent()
	n := len(x.recent)
	if n > 0 {
		last := &x.recent[n-1]
		if last.To >= from {
			return // they are ours already
		}
	}
	x.recent = append(x.recent, mailbox.Range{From: from, To: 1<<32 - 1})
	if len(x.recent) > maxRecent {
		x.recent = append(x.recent[:0], x.recent[1:]...)
	}
}

// countRecent counts the recent messages of the view.
func (x *selection) countRecent() int {
	n := 0
	for _, r := range x.recent {
		i, _ := x.view.Find(r.From)
		j := x.view.Len()
		if r.To < 1<<32-1 {
			j, _ = x.view.Find(r.To + 1)
		}
		n += max(j-i, 0)
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

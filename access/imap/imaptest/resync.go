package imaptest

import (
	"fmt"
	"slices"
	"strings"
)

// Resync selects a mailbox with what was known of it before (RFC 7162 section
// 3.2.5), which must come out as a whole: what was known, less what vanished, with
// what FETCH tells, are the messages that there are.
func (c *Client) Resync(box string, known *Selected) error {
	uids := known.UIDs()
	set := "1:4294967295"
	if len(uids) > 0 {
		set = FormatSet(uids)
	}
	res, err := c.OK(fmt.Sprintf("SELECT %s (QRESYNC (%d %d %s))", Quote(box), known.UIDValidity, known.HighestModSeq, set))
	if err != nil {
		return err
	}
	s := c.Selected
	if s.UIDValidity != known.UIDValidity {
		return violation("%s: UIDVALIDITY %d, was %d", c.Name, s.UIDValidity, known.UIDValidity)
	}
	have := known.Clone()
	for _, r := range res.Untagged {
		if r.Name != "VANISHED" {
			continue
		}
		set, err := ParseSet(r.Args[len(r.Args)-1].Text)
		if err != nil || len(r.Args) != 2 {
			return violation("%s: %v in the answer to SELECT", c.Name, r)
		}
		have.Messages = slices.DeleteFunc(have.Messages, func(m Message) bool { return set.Contains(m.UID) })
	}
	var merged []Message
	for _, m := range have.Messages {
		if m.UID != 0 {
			merged = append(merged, m)
		}
	}
	for at, told := range s.Messages {
		if told.UID == 0 {
			continue
		}
		i, found := slices.BinarySearchFunc(merged, told.UID, func(m Message, uid uint32) int { return int(m.UID) - int(uid) })
		if !found {
			merged = slices.Insert(merged, i, told)
		}
		if merged[i] = told; i > at {
			return violation("%s: message %d has UID %d, which is number %d of those that can be there", c.Name, at+1, told.UID, i+1)
		}
	}
	// A server may tell of the messages in the client's set only: then the new ones
	// are the last, and only known to exist.
	if more := len(s.Messages) - len(merged); more > 0 {
		merged = append(merged, make([]Message, more)...)
	}
	if len(merged) != len(s.Messages) {
		return violation("%s: after QRESYNC %d messages are known (%v), the mailbox has %d", c.Name, len(merged), (&Selected{Messages: merged}).UIDs(), len(s.Messages))
	}
	s.Messages = merged
	return nil
}

// Verify asks for all of the selected mailbox and compares it with what the session
// was told before, but for what changed after the highest mod-sequence that it knew.
func (c *Client) Verify() error {
	if len(c.Selected.Messages) == 0 {
		return nil
	}
	before := c.Selected.Clone()
	res, err := c.OK("FETCH 1:* (UID FLAGS MODSEQ)")
	if err != nil {
		return err
	}
	told := 0
	for _, r := range res.Untagged {
		items := r.Items()
		if r.Name != "FETCH" || items["UID"].Text == "" || len(items["MODSEQ"].List) != 1 {
			continue
		}
		if told++; int(r.Number) > len(before.Messages) {
			continue // it has come meanwhile
		}
		was, is := before.Messages[r.Number-1], c.Selected.Messages[r.Number-1]
		if was.UID != 0 && was.UID != is.UID {
			return violation("%s: message %d has UID %d, was %d", c.Name, r.Number, is.UID, was.UID)
		}
		if !c.loose && is.ModSeq <= before.HighestModSeq && was.Known && was.String() != is.String() {
			return violation("%s: message %d is %v (MODSEQ %d), was %v at HIGHESTMODSEQ %d", c.Name, r.Number, &is, is.ModSeq, &was, before.HighestModSeq)
		}
	}
	return nil
}

// Quote writes a mailbox name as a quoted string.
func Quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

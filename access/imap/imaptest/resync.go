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
		if err != nil {
			return violation("%s: %v in the answer to SELECT", c.Name, r)
		}
		have.Messages = slices.DeleteFunc(have.Messages, func(m Message) bool { return set.Contains(m.UID) })
	}
	// What is known of and was not told anew are the first of those in between; a
	// server may tell of the messages in the client's set only, so that some of the
	// others are only known to exist.
	var rest []Message
	for _, m := range have.Messages {
		if m.UID != 0 && s.Find(m.UID) == nil {
			rest = append(rest, m)
		}
	}
	last := uint32(0)
	for i := range s.Messages {
		m := &s.Messages[i]
		if m.UID == 0 && len(rest) > 0 {
			*m, rest = rest[0], rest[1:]
		}
		if m.UID != 0 && m.UID <= last {
			return violation("%s: after QRESYNC message %d has UID %d, the one before %d", c.Name, i+1, m.UID, last)
		}
		last = max(last, m.UID)
	}
	if len(rest) > 0 {
		return violation("%s: after QRESYNC %d messages that are known are not there (%v of %v)", c.Name, len(rest), (&Selected{Messages: rest}).UIDs(), s.UIDs())
	}
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

package imaptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fetched takes over what FETCH tells.
func (c *Client) fetched(r *Response) error {
	s := c.Selected
	if r.Number == 0 || int(r.Number) > len(s.Messages) {
		return violation("%s: FETCH %d of %d messages", c.Name, r.Number, len(s.Messages))
	}
	if len(r.Args) != 1 || r.Args[0].Kind != List || len(r.Args[0].List)%2 != 0 {
		return violation("%s: %v is no list of pairs", c.Name, r)
	}
	at := int(r.Number) - 1
	m := &s.Messages[at]
	items := r.Items()
	if uid, ok := items["UID"]; ok {
		n, err := strconv.ParseUint(uid.Text, 10, 32)
		if err != nil || n == 0 {
			return violation("%s: %v", c.Name, r)
		}
		if err := s.identify(at, uint32(n)); err != nil {
			return violation("%s: %v: %v", c.Name, r, err)
		}
	}
	seq, hasSeq := items["MODSEQ"]
	if hasSeq {
		if len(seq.List) != 1 {
			return violation("%s: %v", c.Name, r)
		}
		n, err := strconv.ParseUint(seq.List[0].Text, 10, 63)
		if err != nil || n < m.ModSeq && !c.loose {
			return violation("%s: %v: the mod-sequence was %d", c.Name, r, m.ModSeq)
		}
		m.ModSeq = n
	}
	flags, ok := items["FLAGS"]
	if !ok {
		return nil
	}
	// RFC 7162 section 3.1: once enabled, what tells of a change tells its number.
	if c.condstore && !hasSeq && !strings.HasSuffix(c.running, "FETCH") {
		return violation("%s: %v without MODSEQ although CONDSTORE is enabled", c.Name, r)
	}
	if _, hasUID := items["UID"]; (c.qresync || c.rev2) && !hasUID && !strings.HasSuffix(c.running, "FETCH") {
		return violation("%s: %v without UID although QRESYNC or IMAP4rev2 is enabled", c.Name, r)
	}
	m.Known, m.Flags = true, make(map[string]bool, len(flags.List))
	for _, f := range flags.List {
		m.Flags[strings.ToLower(f.Text)] = true
	}
	return nil
}

// Items returns what a FETCH response tells, by upper-case names.
func (r *Response) Items() map[string]Node {
	items := make(map[string]Node)
	if len(r.Args) > 0 {
		for pair := range slices.Chunk(r.Args[0].List, 2) {
			if len(pair) == 2 {
				items[strings.ToUpper(pair[0].Text)] = pair[1]
			}
		}
	}
	return items
}

// identify says that the message at an index has a UID.
func (s *Selected) identify(at int, uid uint32) error {
	m := &s.Messages[at]
	if m.UID == uid {
		return nil
	}
	if m.UID != 0 {
		return fmt.Errorf("its UID was %d", m.UID)
	}
	for i, other := range s.Messages {
		if other.UID != 0 && (i < at && other.UID >= uid || i > at && other.UID <= uid) {
			return fmt.Errorf("message %d has the UID %d", i+1, other.UID)
		}
	}
	m.UID = uid
	return nil
}

package imaptest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Message is what a session knows of one.
type Message struct {
	UID    uint32 // 0: not told yet
	Flags  map[string]bool
	Known  bool // Flags were told
	ModSeq uint64
}

// Selected is what a session was told of the mailbox that it has selected.
type Selected struct {
	Name          string
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq uint64
	ReadOnly      bool
	Messages      []Message // by message number, less one
}

// UIDs returns those that are known.
func (s *Selected) UIDs() (uids []uint32) {
	for _, m := range s.Messages {
		if m.UID != 0 {
			uids = append(uids, m.UID)
		}
	}
	return uids
}

// Find returns the message with a UID; nil when it is not known.
func (s *Selected) Find(uid uint32) *Message {
	for i := range s.Messages {
		if s.Messages[i].UID == uid {
			return &s.Messages[i]
		}
	}
	return nil
}

// Flags returns a message's flags as a text without \Recent, which is each
// session's own.
func (m *Message) String() string {
	var flags []string
	for f := range m.Flags {
		if f != `\recent` {
			flags = append(flags, f)
		}
	}
	slices.Sort(flags)
	return fmt.Sprint(m.UID, flags)
}

// heard takes note of an untagged response and reports what must not be.
func (c *Client) heard(r *Response) error {
	switch r.Name {
	case "BYE":
		if c.running != "LOGOUT" {
			return fmt.Errorf("%s: the server said BYE: %s", c.Name, r.Text)
		}
	case "OK":
		return c.code(r)
	}
	s := c.Selected
	if s == nil {
		switch r.Name {
		case "EXISTS", "EXPUNGE", "FETCH", "VANISHED":
			return violation("%s: %v with nothing selected", c.Name, r)
		}
		return nil
	}
	switch r.Name {
	case "EXISTS":
		if int(r.Number) < len(s.Messages) {
			return violation("%s: EXISTS %d of %d messages", c.Name, r.Number, len(s.Messages))
		}
		s.Messages = append(s.Messages, make([]Message, int(r.Number)-len(s.Messages))...)
	case "EXPUNGE":
		if err := c.mayExpunge(r); err != nil {
			return err
		}
		if c.qresync {
			return violation("%s: EXPUNGE although QRESYNC is enabled", c.Name)
		}
		if r.Number == 0 || int(r.Number) > len(s.Messages) {
			return violation("%s: EXPUNGE %d of %d messages", c.Name, r.Number, len(s.Messages))
		}
		s.Messages = slices.Delete(s.Messages, int(r.Number)-1, int(r.Number))
	case "VANISHED":
		return c.vanished(r)
	case "FETCH":
		return c.fetched(r)
	}
	return nil
}

// mayExpunge holds a server to RFC 3501 section 5.5 and 7.4.1: no message number
// changes while no command runs, nor during FETCH, STORE and SEARCH.
func (c *Client) mayExpunge(r *Response) error {
	switch c.running {
	case "", "FETCH", "STORE", "SEARCH", "SORT", "THREAD":
		return violation("%s: %v during %q", c.Name, r, c.running)
	}
	return nil
}

func (c *Client) code(r *Response) error {
	s := c.Selected
	if s == nil || len(r.Code) < 2 {
		return nil
	}
	n, err := strconv.ParseUint(r.Code[1].Text, 10, 63)
	switch r.CodeName() {
	case "UIDVALIDITY":
		s.UIDValidity = uint32(n)
	case "UIDNEXT":
		s.UIDNext = uint32(n)
	case "HIGHESTMODSEQ":
		if n < s.HighestModSeq {
			return violation("%s: HIGHESTMODSEQ %d after %d", c.Name, n, s.HighestModSeq)
		}
		s.HighestModSeq = n
	default:
		return nil
	}
	if err != nil || n == 0 {
		return violation("%s: %v", c.Name, r)
	}
	return nil
}

func (c *Client) vanished(r *Response) error {
	if !c.qresync {
		return violation("%s: VANISHED without QRESYNC", c.Name)
	}
	earlier := len(r.Args) == 2 && len(r.Args[0].List) == 1 && strings.EqualFold(r.Args[0].List[0].Text, "EARLIER")
	set, err := ParseSet(r.Args[len(r.Args)-1].Text)
	if err != nil {
		return violation("%s: %v: %v", c.Name, r, err)
	}
	if !earlier {
		if err := c.mayExpunge(r); err != nil {
			return err
		}
	}
	s := c.Selected
	if earlier {
		return nil // RFC 7162 section 3.2.10.1: message numbers stay as they are
	}
	if set.Count() > uint64(len(s.Messages)) {
		return violation("%s: %v of %d messages", c.Name, r, len(s.Messages))
	}
	for _, uid := range set.Each() {
		if !s.remove(uid) {
			return violation("%s: %v: %d is not among %v", c.Name, r, uid, s.UIDs())
		}
	}
	return nil
}

// remove removes a message by its UID. When that was not told it is one of those
// without between the next lower and the next higher one; which makes no difference.
func (s *Selected) remove(uid uint32) bool {
	blank := -1
	for i, m := range s.Messages {
		if m.UID == 0 {
			blank = i
			continue
		}
		if m.UID == uid {
			blank = i
		}
		if m.UID >= uid {
			break
		}
		blank = -1
	}
	if blank < 0 {
		return false
	}
	s.Messages = slices.Delete(s.Messages, blank, blank+1)
	return true
}

// Clone is a copy that stays as it is.
func (s *Selected) Clone() *Selected {
	c := *s
	c.Messages = slices.Clone(s.Messages)
	for i := range c.Messages {
		c.Messages[i].Flags = maps.Clone(c.Messages[i].Flags)
	}
	return &c
}

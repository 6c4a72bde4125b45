package mailbox

import (
	"strings"

	"postrider/delivery/mailbox/internal/record"
)

// maxKeywordBytes bounds a keyword's name.
const maxKeywordBytes = 100

// validKeyword reports whether name is an atom, as a flag-keyword has to be
// (RFC 9051 section 9).
func validKeyword(name string) bool {
	if name == "" || len(name) > maxKeywordBytes {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// keywordLocked returns the number of a keyword, and gives it one when it has none.
func (m *Mailbox) keywordLocked(name string, define bool) (slot int, ok bool) {
	for i, k := range m.keywords {
		if strings.EqualFold(k, name) {
			return i, true
		}
	}
	if !define || !validKeyword(name) || len(m.keywords) >= WordKeywords+MoreKeywords {
		return 0, false
	}
	m.keywords = append(m.keywords, name)
	return len(m.keywords) - 1, true
}

// keywordBitsLocked returns the bits of keywords. Those that nothing durable has
// defined yet are defined by parts appended to head: the changes that defined them
// before may still fail.
func (m *Mailbox) keywordBitsLocked(head []byte, names []string, define bool) (_ []byte, flags uint32, more uint64, err error) {
	highest := -1
	for _, name := range names {
		slot, ok := m.keywordLocked(name, define)
		switch {
		case !ok && define:
			return head, 0, 0, ErrKeywords
		case !ok:
			continue
		case slot < WordKeywords:
			flags |= 1 << (FirstKeyword + slot)
		default:
			more |= 1 << (slot - WordKeywords)
		}
		highest = max(highest, slot)
	}
	for i := m.durable; i <= highest; i++ {
		head = record.AppendKeyword(head, &record.Keyword{Box: m.box(), Slot: uint8(i), Name: []byte(m.keywords[i])})
	}
	return head, flags, more, nil
}

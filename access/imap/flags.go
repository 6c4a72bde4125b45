package imap

import (
	"postrider/delivery/mailbox"
)

// systemFlags are the names of the flags, by their bits.
func systemFlags() [mailbox.FirstKeyword]string {
	return [...]string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`}
}

// appendFlags appends the list of a message's flags: more are the keywords that Flags
// has no room for.
func (s *session) appendFlags(b []byte, e mailbox.Entry, more uint64) []byte {
	b = append(b, '(')
	start := len(b)
	sep := func() {
		if len(b) > start {
			b = append(b, ' ')
		}
	}
	for i, name := range systemFlags() {
		if e.Flags&(1<<i) != 0 {
			sep()
			b = append(b, name...)
		}
	}
	if !s.has(rev2) && s.sel.isRecent(e.UID) {
		sep()
		b = append(b, `\Recent`...)
	}
	if e.Flags>>mailbox.FirstKeyword != 0 || more != 0 {
		for i, word := range s.keywords() {
			on := i < mailbox.WordKeywords && e.Flags&(1<<(mailbox.FirstKeyword+i)) != 0 ||
				i >= mailbox.WordKeywords && more&(1<<(i-mailbox.WordKeywords)) != 0
			if on {
				sep()
				b = append(b, word...)
			}
		}
	}
	return append(b, ')')
}

// keywords returns the names of the selected mailbox's keywords that the client was
// told of.
func (s *session) keywords() []string { return s.sel.words }

// tellKeywords sends FLAGS when the mailbox has got keywords that the client was not
// told of (RFC 9051 section 7.3.5).
func (s *session) tellKeywords() {
	x := s.sel
	n := len(x.words)
	if x.words = x.box.Keywords(x.words[:0]); len(x.words) != n {
		s.sayFlags()
	}
}

// sayFlags sends FLAGS, and PERMANENTFLAGS with what a client may store.
func (s *session) sayFlags() {
	x := s.sel
	b := append(s.w.BulkRoom(lineRoom), "* FLAGS ("...)
	b = append(appendFlagNames(b, x.words), ")\r\n* OK [PERMANENTFLAGS ("...)
	if !x.readOnly {
		b = appendFlagNames(b, x.words)
		b = append(b, ` \*`...)
	}
	s.add(append(b, ")] Flags that can be stored\r\n"...))
}

func appendFlagNames(b []byte, words []string) []byte {
	for i, name := range systemFlags() {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, name...)
	}
	for _, word := range words {
		b = append(append(b, ' '), word...)
	}
	return b
}

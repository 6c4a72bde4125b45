package imap

import (
	"bytes"
	"math"
	"time"

	"postrider/access/imapwire"
	"postrider/internal/wire"
)

// command is one command. Its slices are valid until the next read; the session's tag
// stays.
type command struct {
	tag, name []byte
	uid       bool // "UID" stood before the name
	d         imapwire.Decoder
}

// collecting is how far the command that comes in has been looked at.
type collecting struct {
	from     int // no line end is before here; beyond what was read: in a literal
	line     int // the line, or what follows a literal, begins here
	literals int // that were collected
	skipped  int // octets that were dropped of one that is too long
}

// verdict is what a look at the input says of the command.
type verdict uint8

const (
	partial verdict = iota
	whole
	tooBig   // a literal was announced that nobody waits for
	tooBigNS // one was announced that will come anyway
)

// collect returns the next command, with the small literals in it; nil means that the
// session has ended or parked, or that there was no command and that was said.
func (s *session) collect() *command {
	grace := true
	for {
		if s.w.Draining() {
			s.stop(byeDrain, wire.ReasonDrain)
			return nil
		}
		b := s.w.Buffered()
		end, v := s.look(b)
		switch v {
		case whole:
			return s.take(b, end)
		case tooBig, tooBigNS:
			s.refuseLiteral(b, end, v)
			return nil
		}
		if !s.makeRoom(len(b)) {
			return nil
		}
		if s.notifies != nil {
			if s.news(false); s.ended {
				return nil
			}
		}
		if !s.wait(len(b) > 0, &grace) {
			return nil
		}
	}
}

// maxSkipped is how much of a command that is too long is listened to.
const maxSkipped = 1 << 20

// makeRoom sees to it that more than the n octets that are there can be read. false: the
// session has ended.
func (s *session) makeRoom(n int) bool {
	if n >= s.commandLimit() {
		if s.at.skipped == 0 {
			s.keepTag(s.w.Buffered())
		}
		s.at = collecting{skipped: s.at.skipped + n - 1}
		s.w.Discard(n - 1) // but not a CR that LF may follow
		if s.at.skipped > maxSkipped {
			s.stop(byeTooBig, wire.ReasonProtocol)
			return false
		}
		return true
	}
	if n >= wire.BufferSize || s.at.from > wire.BufferSize {
		s.w.Widen()
	}
	return true
}

// commandLimit is how long a command may be.
func (s *session) commandLimit() int {
	if s.account == nil {
		return s.lim.LoginBytes
	}
	return s.lim.CommandBytes
}

// look searches the input for the end of the command. A literal is asked for when it is
// small enough; its octets are part of the command.
func (s *session) look(b []byte) (end int, v verdict) {
	c := &s.at
	for c.from < len(b) {
		i := bytes.IndexByte(b[c.from:], '\n')
		if i < 0 {
			c.from = len(b)
			break
		}
		end = c.from + i + 1
		line := bytes.TrimSuffix(b[c.line:end-1], []byte{'\r'})
		c.from = end
		h, ok := imapwire.ParseTail(line)
		if !ok || len(line)+2 != end-c.line {
			return end, whole
		}
		if c.skipped == 0 && s.streams(b[:end]) {
			return end, whole
		}
		if c.skipped > 0 || h.Size > s.literalLimit() || h.Size > int64(s.commandLimit()-end) {
			if h.NonSync {
				return end, tooBigNS
			}
			return end, tooBig
		}
		if !h.NonSync {
			s.w.AddString("+ OK\r\n")
		}
		c.literals++
		c.from = end + int(h.Size)
		c.line = c.from
	}
	return 0, partial
}

// literalLimit is the largest literal that is collected.
func (s *session) literalLimit() int64 {
	if s.account == nil {
		return int64(s.lim.LoginLiteral)
	}
	return math.MaxInt32
}

// streams reports that the literal with whose header b ends is not to be collected:
// the message of APPEND or REPLACE, which its handler reads. A mailbox's name may be a
// literal too, which is the only one before the message.
func (s *session) streams(b []byte) bool {
	if s.account == nil {
		return false
	}
	var d imapwire.Decoder
	d.Reset(b)
	if _, ok := d.Tag(); !ok || !d.SP() {
		return false
	}
	name, _ := d.Atom()
	if imapwire.Is(name, "UID") && d.SP() {
		name, _ = d.Atom()
	}
	arguments := 1 // the message's place at the earliest
	switch {
	case imapwire.Is(name, "APPEND"):
	case imapwire.Is(name, "REPLACE"):
		arguments = 2
	default:
		return false
	}
	if s.at.literals > 0 {
		return true
	}
	return bytes.Count(d.Rest(), []byte{' '}) > arguments
}

// refuseLiteral answers a command whose literal, or which itself, is too large. One that
// comes whatever is said ends the session (RFC 7888 section 4).
func (s *session) refuseLiteral(b []byte, end int, v verdict) {
	if v == tooBigNS {
		s.stop(byeTooBig, wire.ReasonProtocol)
		return
	}
	if s.at.skipped == 0 {
		s.keepTag(b)
	}
	s.at = collecting{}
	s.w.Discard(end)
	s.part, s.heard = time.Time{}, time.Time{}
	s.answer(&reply{kind: replyBad, code: "TOOBIG", text: "Literal is too large"})
}

// keepTag copies the tag at the start of b, or "*" when there is none.
func (s *session) keepTag(b []byte) {
	var d imapwire.Decoder
	d.Reset(b)
	s.tag = append(s.tag[:0], '*')
	if tag, ok := d.Tag(); ok && len(tag) <= maxTag && d.SP() {
		s.tag = append(s.tag[:0], tag...)
	}
}

// maxTag is the longest tag: one that is sent back has to be kept.
const maxTag = 255

// take takes the command, which ends at end, out of the input. nil: it is none, and
// that was said.
func (s *session) take(b []byte, end int) *command {
	skipped := s.at.skipped > 0
	s.at = collecting{}
	s.w.Discard(end)
	s.part, s.heard = time.Time{}, time.Time{}
	if skipped {
		s.answer(&reply{kind: replyBad, code: "TOOBIG", text: "Command is too long"})
		return nil
	}
	line := bytes.TrimSuffix(b[:end-1], []byte{'\r'})
	if len(line) == 0 {
		return nil // clients end a literal with one too many
	}
	c := &s.cmd
	*c = command{}
	c.d.Reset(line)
	s.keepTag(line)
	var ok bool
	if c.tag, ok = c.d.Tag(); !ok || len(c.tag) > maxTag || !c.d.SP() {
		s.answer(&reply{kind: replyBad, text: "Tag is missing"})
		return nil
	}
	if s.account == nil && isHTTP(c.tag) {
		s.stop(byeHTTP, wire.ReasonJunk)
		return nil
	}
	if len(line)+2 != end {
		s.answer(&reply{kind: replyBad, text: "Lines end with CRLF"})
		return nil
	}
	c.name, _ = c.d.Atom()
	if imapwire.Is(c.name, "UID") && c.d.SP() {
		c.uid = true
		c.name, _ = c.d.Atom()
	}
	return c
}

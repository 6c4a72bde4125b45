package imap

import (
	"bytes"
	"io"
	"time"

	"postrider/access/imapwire"
	"postrider/internal/wire"
)

// The message of APPEND and of REPLACE does not fit into a command. Its handler finds
// the header of the literal at the end of the command, reads the octets with
// streamLiteral or drops them with skipLiteral, and goes on with nextPiece. Slices of
// the command are not valid then any more; the session's tag is.

// streamLiteral asks for a literal, if the client waits to be asked, and writes its
// octets to w. After an error of w the rest is still read, and dropped, so that what
// follows is understood. lost: the session has ended.
func (s *session) streamLiteral(h imapwire.LiteralHeader, w io.Writer) (err error, lost bool) {
	if !h.NonSync {
		s.w.AddString("+ OK\r\n")
	}
	return s.drainLiteral(h.Size, w)
}

// skipLiteral drops a literal that the client sends whatever is said; one that it waits
// to be asked for does not come. true: the session has ended, as it does when it is not
// worth reading so much (RFC 7888 section 4).
func (s *session) skipLiteral(h imapwire.LiteralHeader) (lost bool) {
	if !h.NonSync {
		return false
	}
	if h.Size > s.lim.AppendBytes {
		s.stop(byeTooBig, wire.ReasonProtocol)
		return true
	}
	_, lost = s.drainLiteral(h.Size, io.Discard)
	return lost
}

func (s *session) drainLiteral(size int64, w io.Writer) (failed error, lost bool) {
	s.w.SetBusy(true)
	s.w.SetBulk(true)
	defer s.w.SetBusy(false)
	defer s.w.SetBulk(false)
	for size > 0 {
		b := s.w.Buffered()
		if len(b) == 0 {
			if !s.receive() {
				return failed, true
			}
			continue
		}
		b = b[:min(int64(len(b)), size)]
		if failed == nil {
			_, failed = w.Write(b)
		}
		size -= int64(len(b))
		s.w.Discard(len(b))
	}
	return failed, false
}

// receive reads more of a command that has begun. false: the session has ended.
func (s *session) receive() bool {
	s.w.ReadBy(time.Now().Add(s.lim.Command), s.lim.Command)
	for {
		switch err := s.w.Fill(); err {
		case nil:
			return true
		case wire.ErrWoken:
		default:
			s.lost(err)
			return false
		}
	}
}

// nextPiece begins anew with c.d at what follows a literal: the rest of the command, or
// what is before the header of the next literal, with that. false: the session has
// ended.
func (s *session) nextPiece(c *command) bool {
	from := 0
	for {
		b := s.w.Buffered()
		if i := bytes.IndexByte(b[from:], '\n'); i >= 0 {
			end := from + i + 1
			s.w.Discard(end)
			c.d.Reset(bytes.TrimSuffix(b[:end-1], []byte{'\r'}))
			return true
		}
		if from = len(b); from >= wire.BufferSize {
			s.stop(byeTooBig, wire.ReasonProtocol)
			return false
		}
		if !s.receive() {
			return false
		}
	}
}

package pop3

import (
	"errors"
	"strconv"
	"time"

	"postrider/internal/wire"
)

// stat does STAT.
func (s *session) stat() {
	left, bytes, err := s.drop.Stat()
	gone := false
	for i := range s.removed.All() {
		size, e := s.drop.Size(i)
		if gone = gone || errors.Is(e, ErrGone); !errors.Is(e, ErrGone) {
			err = errors.Join(err, e)
		}
		bytes -= size
		left--
	}
	if gone && err == nil { // the size of what others have removed is not known any more
		bytes = 0
		err = s.drop.Scan(0, ListedSize, func(i int, m Meta) bool {
			if !s.removed.Has(i) {
				bytes += m.Size
			}
			return true
		})
	}
	if err != nil {
		s.unreadable(err)
		return
	}
	b := append(s.w.Room(replyRoom), "+OK "...)
	b = append(strconv.AppendInt(b, int64(left), 10), ' ')
	s.w.Add(append(strconv.AppendInt(b, bytes, 10), "\r\n"...))
}

// message reads the number of a message that is there and not marked, and returns
// its index and what follows it; false means that -ERR was said.
func (s *session) message(arg []byte) (i int, rest []byte, ok bool) {
	n, rest, ok := number(arg)
	messages, err := s.drop.Len()
	switch {
	case err != nil:
		s.unreadable(err)
	case !ok:
		s.fail(replyArgument)
	case n < 1 || n > int64(messages):
		s.fail(replyNumber)
	case s.removed.Has(int(n - 1)):
		s.fail(replyDeleted)
	default:
		return int(n - 1), rest, true
	}
	return 0, nil, false
}

// only is message for a command that takes nothing else.
func (s *session) only(arg []byte) (i int, ok bool) {
	i, rest, ok := s.message(arg)
	if ok && rest != nil {
		s.fail(replyArgument)
		return 0, false
	}
	return i, ok
}

// dele does DELE.
func (s *session) dele(arg []byte) {
	if i, ok := s.only(arg); ok {
		s.mark(&s.removed, i)
		s.w.AddString(replyMarked)
	}
}

// mark adds message i to a set.
func (s *session) mark(set *Marks, i int) {
	if messages, err := s.drop.Len(); err == nil { // as when i was looked for
		set.set(i, messages)
	}
}

// list does LIST.
func (s *session) list(arg []byte) {
	if arg == nil {
		s.all(ListedSize, func(b []byte, m Meta) []byte { return strconv.AppendInt(b, m.Size, 10) })
		return
	}
	i, ok := s.only(arg)
	if !ok {
		return
	}
	size, err := s.drop.Size(i)
	if err != nil {
		s.unreadable(err)
		return
	}
	b := append(s.w.Room(replyRoom), "+OK "...)
	b = append(strconv.AppendInt(b, int64(i+1), 10), ' ')
	s.w.Add(append(strconv.AppendInt(b, size, 10), "\r\n"...))
}

// uidl does UIDL.
func (s *session) uidl(arg []byte) {
	if arg == nil {
		s.all(ListedUID, func(b []byte, m Meta) []byte { return append(b, m.UID...) })
		return
	}
	i, ok := s.only(arg)
	if !ok {
		return
	}
	b := append(s.w.Room(replyRoom), "+OK "...)
	b = append(strconv.AppendInt(b, int64(i+1), 10), ' ')
	b, err := s.drop.AppendUID(b, i)
	if err != nil {
		s.unreadable(err)
		return
	}
	s.w.Add(append(b, "\r\n"...))
}

// all writes a line for each message that is not marked. The store is asked for as
// many as fit into the buffer, so that nothing of it is held while a client takes its
// time to read.
func (s *session) all(what Listed, line func(b []byte, m Meta) []byte) {
	s.w.AddString(replyOK)
	for next, full := 0, true; full && s.w.Failed() == nil; {
		b := s.w.BulkRoom(wire.BulkRoomSize / 2)
		full = false
		err := s.drop.Scan(next, what, func(i int, m Meta) bool {
			if full = cap(b)-len(b) < replyRoom; full {
				return false
			}
			if next = i + 1; !s.removed.Has(i) {
				b = append(strconv.AppendInt(b, int64(next), 10), ' ')
				b = append(line(b, m), "\r\n"...)
			}
			return true
		})
		s.w.Add(b)
		if err != nil { // a list that was begun cannot be ended with -ERR
			s.broken(err)
			return
		}
	}
	s.w.AddString(".\r\n")
}

// unreadable answers a command that the store failed.
func (s *session) unreadable(err error) {
	if errors.Is(err, ErrGone) {
		s.fail(replyGone)
		return
	}
	s.trouble(err)
	s.fail(replyTrouble)
}

// broken ends a session in the midst of an answer, which the client must not take
// for a whole one.
func (s *session) broken(err error) {
	if s.w.Failed() == nil {
		s.trouble(err)
	}
	s.ended = true
	s.w.SetReason(wire.ReasonLost)
}

func appendSeconds(b []byte, name string, d time.Duration) []byte {
	if d <= 0 {
		return b
	}
	b = strconv.AppendInt(append(b, name...), int64((d+time.Second-1)/time.Second), 10)
	return append(b, "\r\n"...)
}

func appendDays(b []byte, name string, days int) []byte {
	b = append(b, name...)
	if days <= 0 {
		return append(b, "NEVER\r\n"...)
	}
	return append(strconv.AppendInt(b, int64(days), 10), "\r\n"...)
}

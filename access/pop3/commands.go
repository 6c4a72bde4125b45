package pop3

import (
	"postrider/internal/wire"
)

// command does one command line.
func (s *session) command(line []byte) {
	v, arg := parse(line)
	if len(line)+2 > s.lim.CommandBytes && v != verbAuth {
		s.fail(replyLong)
		return
	}
	if v != verbPass {
		arg = trimRight(arg) // some clients end a line with a space
	}
	// A name may be in UTF-8 (RFC 6856 section 2.1), and a password may hold what it
	// will.
	if v != verbPass && !clean(line, v == verbUser) {
		s.fail(replyOctet)
		return
	}
	if takesNone(v) && len(arg) > 0 {
		s.fail(replyNoArg)
		return
	}
	switch v {
	case verbCapa:
		s.capa()
		return
	case verbQuit:
		s.quit()
		return
	case verbHTTP:
		s.stop(replyHTTP, wire.ReasonProtocol)
		return
	case verbUnknown:
		s.fail(replyUnknown)
		return
	}
	switch {
	case s.drop == nil && v < verbStat:
		s.authorize(v, arg)
	case s.drop == nil:
		s.fail(replyNotYet)
	case v < verbStat:
		s.fail(replyInside)
	default:
		s.transact(v, arg)
	}
}

// takesNone names the commands without an argument.
func takesNone(v verb) bool {
	switch v {
	case verbCapa, verbQuit, verbStls, verbUTF8, verbStat, verbNoop, verbRset:
		return true
	}
	return false
}

// authorize does a command of the AUTHORIZATION state.
func (s *session) authorize(v verb, arg []byte) {
	switch v {
	case verbUser:
		s.user(arg)
	case verbPass:
		s.pass(arg)
	case verbAuth:
		s.auth(arg)
	case verbStls:
		s.stls()
	case verbUTF8: // texts are sent as they are with and without it
		s.w.AddString(replyUTF8)
	default:
		s.fail(replyApop)
	}
}

// transact does a command of the TRANSACTION state.
func (s *session) transact(v verb, arg []byte) {
	switch v {
	case verbRetr:
		s.retr(arg)
	case verbDele:
		s.dele(arg)
	case verbTop:
		s.top(arg)
	case verbList:
		s.list(arg)
	case verbUidl:
		s.uidl(arg)
	case verbStat:
		s.stat()
	case verbRset:
		clear(s.removed)
		s.w.AddString(replyReset)
	default:
		s.w.AddString(replyOK)
	}
}

// stls does STLS (RFC 2595 section 4). What was buffered behind the command came in
// clear and must not survive the handshake, so a client that sends any is cut off.
func (s *session) stls() {
	switch {
	case s.TLS != 0:
		s.fail(replyInTLS)
	case s.o.TLS == nil:
		s.fail(replyNotOffered)
	case len(s.w.Buffered()) > 0:
		s.stop(replyEarly, wire.ReasonProtocol)
	case s.o.TLS() == nil:
		s.fail(replyNoTLS)
	default:
		s.w.AddString(replyTLS)
		if !s.handshake() {
			s.ended = true
			return
		}
		s.name = nil // what was said in clear is forgotten
	}
}

// quit does QUIT: from TRANSACTION it enters the UPDATE state, the only one in which
// messages are removed (RFC 1939 section 6). +OK says that this is durable.
func (s *session) quit() {
	s.ended, s.linger = true, true
	s.w.SetReason(wire.ReasonQuit)
	reply := replyBye
	if s.drop != nil && (len(s.removed) > 0 || len(s.seen) > 0) {
		err := s.drop.Update(s.ctx, s.removed, s.seen)
		s.seen = nil
		switch {
		case err == nil:
			s.updated = s.removed.Count()
			s.m.Removed.Add(int64(s.updated))
		default:
			s.trouble(err)
			s.m.Errors.Add(1)
			reply = replyNotRemoved
		}
	}
	s.leave() // before the reply: the client's next session may come at once
	s.w.AddString(reply)
}

// capa does CAPA (RFC 2449 section 5). What could change with the state is listed
// where it can be used.
func (s *session) capa() {
	b := append(s.w.Room(replyRoom), "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\n"...)
	if s.o.TLS != nil && s.TLS == 0 && s.drop == nil {
		b = append(b, "STLS\r\n"...)
	}
	b = s.appendLogins(b)
	b = appendSeconds(b, "LOGIN-DELAY ", s.o.LoginDelay)
	b = appendDays(b, "EXPIRE ", s.o.ExpireDays)
	s.w.Add(append(b, "IMPLEMENTATION postrider\r\n.\r\n"...))
}

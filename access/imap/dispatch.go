package imap

import (
	"postrider/access/imapwire"
	"postrider/internal/wire"
)

// states are where a command is allowed (RFC 9051 section 3).
type states uint8

const (
	notAuthenticated states = 1 << iota
	authenticated
	selected

	anywhere = notAuthenticated | authenticated | selected
	loggedIn = authenticated | selected
)

// entry is a command's line in the table.
type entry struct {
	do func(s *session, c *command) reply
	in states
	// numbered says that message numbers are in the command or its answers, so that no
	// EXPUNGE may be sent before its end (RFC 9051 section 7.5.1).
	numbered bool
}

// lookup finds a command by its name, in any case.
func lookup(name []byte, uid bool) (entry, bool) {
	var room [16]byte
	if len(name) > len(room) {
		return entry{}, false
	}
	upper := room[:copy(room[:], name)]
	for i, c := range upper {
		if c >= 'a' && c <= 'z' {
			upper[i] = c - ('a' - 'A')
		}
	}
	if uid {
		return lookupUID(upper)
	}
	if e, ok := lookupMessages(upper); ok {
		return e, true
	}
	if e, ok := lookupFolders(upper); ok {
		return e, true
	}
	if e, ok := lookupMailboxes(upper); ok {
		return e, true
	}
	return lookupSession(upper)
}

// lookupSession has the commands about the session itself.
func lookupSession(upper []byte) (entry, bool) {
	switch string(upper) {
	case "CAPABILITY":
		return entry{do: (*session).capability, in: anywhere}, true
	case "NOOP":
		return entry{do: (*session).noop, in: anywhere}, true
	case "LOGOUT":
		return entry{do: (*session).logout, in: anywhere}, true
	case "ID":
		return entry{do: (*session).id, in: anywhere}, true
	case "STARTTLS":
		return entry{do: (*session).startTLS, in: notAuthenticated}, true
	case "LOGIN":
		return entry{do: (*session).login, in: notAuthenticated}, true
	case "AUTHENTICATE":
		return entry{do: (*session).authenticate, in: notAuthenticated}, true
	case "ENABLE":
		return entry{do: (*session).enable, in: loggedIn}, true
	case "COMPRESS":
		return entry{do: (*session).compress, in: loggedIn}, true
	case "UNAUTHENTICATE":
		return entry{do: (*session).unauthenticate, in: loggedIn}, true
	case "IDLE":
		return entry{do: (*session).startIdle, in: loggedIn}, true
	}
	return entry{}, false
}

// lookupMailboxes has the commands that name mailboxes.
func lookupMailboxes(upper []byte) (entry, bool) {
	switch string(upper) {
	case "SELECT":
		return entry{do: (*session).selectBox, in: loggedIn}, true
	case "EXAMINE":
		return entry{do: (*session).examine, in: loggedIn}, true
	}
	return entry{}, false
}

// lookupMessages has the commands of the selected state.
func lookupMessages(upper []byte) (entry, bool) {
	switch string(upper) {
	case "CHECK":
		return entry{do: (*session).check, in: selected}, true
	case "CLOSE":
		return entry{do: (*session).closeBox, in: selected}, true
	case "UNSELECT":
		return entry{do: (*session).unselect, in: selected}, true
	case "FETCH":
		return entry{do: (*session).fetch, in: selected, numbered: true}, true
	case "STORE":
		return entry{do: (*session).store, in: selected, numbered: true}, true
	case "COPY":
		return entry{do: (*session).copyMessages, in: selected, numbered: true}, true
	case "MOVE":
		return entry{do: (*session).move, in: selected}, true
	case "EXPUNGE":
		return entry{do: (*session).expunge, in: selected}, true
	case "SEARCH":
		return entry{do: (*session).doSearch, in: selected, numbered: true}, true
	case "SORT":
		return entry{do: (*session).doSort, in: selected, numbered: true}, true
	case "THREAD":
		return entry{do: (*session).doThread, in: selected, numbered: true}, true
	}
	return entry{}, false
}

// lookupUID has the commands that follow "UID".
func lookupUID(upper []byte) (entry, bool) {
	switch string(upper) {
	case "REPLACE":
		return entry{do: (*session).uidReplace, in: selected}, true
	case "FETCH":
		return entry{do: (*session).fetch, in: selected}, true
	case "STORE":
		return entry{do: (*session).store, in: selected}, true
	case "COPY":
		return entry{do: (*session).copyMessages, in: selected}, true
	case "MOVE":
		return entry{do: (*session).move, in: selected}, true
	case "EXPUNGE":
		return entry{do: (*session).uidExpunge, in: selected}, true
	case "SEARCH":
		return entry{do: (*session).doSearch, in: selected}, true
	case "SORT":
		return entry{do: (*session).doSort, in: selected}, true
	case "THREAD":
		return entry{do: (*session).doThread, in: selected}, true
	}
	return entry{}, false
}

// now returns the state that the session is in.
func (s *session) now() states {
	switch {
	case s.account == nil:
		return notAuthenticated
	case s.sel == nil:
		return authenticated
	}
	return selected
}

// do does a command.
func (s *session) do(c *command) {
	s.commands++
	s.m.Commands.Add(1)
	e, known := lookup(c.name, c.uid)
	switch {
	case !known:
		s.answer(&reply{kind: replyBad, text: "Command not known"})
		return
	case e.in&s.now() == 0:
		s.answer(s.misplaced(e.in))
		return
	}
	r := e.do(s, c)
	if r.kind == replyNone {
		return
	}
	if s.sel != nil && !s.ended {
		s.updates(!e.numbered)
	}
	s.changed = false
	s.answer(&r)
}

// misplaced answers a command that is not for this state.
func (s *session) misplaced(in states) *reply {
	r := bad("Log in first")
	switch {
	case s.account == nil:
	case in&loggedIn == 0:
		r.text = "You are logged in"
	default:
		r.text = "Select a mailbox first"
	}
	return &r
}

// maxLoginErrors is how much nonsense is heard from who is not logged in.
const maxLoginErrors = 10

// answer writes the tagged line. Too many BADs end the session.
func (s *session) answer(r *reply) {
	if len(s.tag) == 1 && s.tag[0] == '*' {
		r.kind = replyBad
	}
	s.finishLine(s.tag, r)
	s.at = collecting{}
	if r.kind != replyBad {
		return
	}
	s.m.Errors.Add(1)
	if s.errors++; s.errors >= s.lim.Errors || s.account == nil && s.errors >= maxLoginErrors {
		s.stop(byeErrors, wire.ReasonErrors)
	}
}

// bare reports that a command has no arguments.
func (c *command) bare() bool { return c.d.End() }

// argument takes the space before an argument and what f takes.
func argument[T any](c *command, f func(d *imapwire.Decoder) (T, bool)) (v T, ok bool) {
	if !c.d.SP() {
		return v, false
	}
	return f(&c.d)
}

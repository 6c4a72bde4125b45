package imap

import (
	"errors"
	"strconv"
	"time"

	"postrider/access/imapwire"
	"postrider/internal/wire"
)

// errLeft ends a search whose client is not there any more, or must go: there is nobody
// to answer. errTooLong ends one that has had its share.
var (
	errLeft    = errors.New("the session ends")
	errTooLong = errors.New("the search takes too long")
)

const (
	lookEvery  = 20 * time.Millisecond  // between two looks at what goes on around
	longSearch = 500 * time.Millisecond // after which a search takes turns with others
)

// watchdog sees to it that a search does not outlast its client, says that it goes on,
// and has long ones take turns.
type watchdog struct {
	s      *session
	began  time.Time
	looked time.Time
	tell   time.Time // when the client is told that it goes on
	every  time.Duration
	turn   bool // the search has the turn
}

func (g *watchdog) begin(s *session) {
	if g.s == nil {
		now := time.Now()
		*g = watchdog{s: s, began: now, looked: now, tell: now.Add(s.lim.Progress / 2), every: min(lookEvery, s.lim.Progress/2)}
	}
}

// check is search.Scope.Check.
func (g *watchdog) check(done, total int) error {
	now := time.Now()
	if now.Sub(g.looked) < g.every {
		return nil
	}
	if err := g.look(now, done, total); err != nil || now.Sub(g.began) < longSearch {
		return err
	}
	// Others have the turn now.
	g.end()
	for !g.s.o.Sessions.takeTurn(longSearch) {
		if err := g.look(time.Now(), done, total); err != nil {
			return err
		}
	}
	g.turn = true
	return nil
}

// look says why the search must end, or tells the client that it goes on when that is
// due.
func (g *watchdog) look(now time.Time, done, total int) error {
	g.looked = now
	s := g.s
	switch {
	case s.w.Draining():
		s.stop(byeDrain, wire.ReasonDrain)
		return errLeft
	case s.w.Failed() != nil:
		s.ended = true
		s.w.SetReason(wire.ReasonLost)
		return errLeft
	case now.Sub(g.began) > s.lim.Search:
		return errTooLong
	}
	if now.After(g.tell) {
		g.tell = now.Add(s.lim.Progress)
		g.say(done, total)
	}
	return nil
}

// end gives the turn back.
func (g *watchdog) end() {
	if g.turn {
		g.turn = false
		g.s.o.Sessions.giveTurn()
	}
}

// say tells the client how far the search is (RFC 9585). A client that has gone shows
// in what comes of it.
func (g *watchdog) say(done, total int) {
	s := g.s
	if !s.offers("INPROGRESS") {
		return
	}
	b := append(s.room(), "* OK [INPROGRESS ("...)
	b = imapwire.AppendQuoted(b, s.tag)
	if done < total {
		b = strconv.AppendInt(append(b, ' '), int64(done), 10)
		b = strconv.AppendInt(append(b, ' '), int64(total), 10)
	} else {
		b = append(b, " NIL NIL"...)
	}
	s.add(append(b, ")] Still searching\r\n"...))
	_ = s.w.Flush() // Failed tells it at the next look
}

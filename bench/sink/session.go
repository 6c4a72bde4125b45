package sink

import (
	"bytes"
	"context"
	"net"
	"time"
)

const (
	bufferBytes = 16 << 10  // holds a small message with its commands
	largeBytes  = 128 << 10 // while a large text comes in: fewer reads
	outBytes    = 16 << 10  // replies beyond it are written at once
	maxRcpts    = 10_000
)

// session is one connection.
type session struct {
	s    *Server
	ctx  context.Context
	conn net.Conn // as it is spoken to
	raw  net.Conn // below TLS, or the same

	buf  []byte
	r, w int // unread bytes are buf[r:w]
	out  []byte
	by   time.Time // read deadline
	over bool      // no more is said; what is in out goes first

	hello   bool
	mail    bool
	rcpts   []recipient
	domains []byte // of the recipients, for the script

	mode      mode
	lineStart bool  // DATA: the next byte begins a line
	afterCR   bool  // DATA: the last byte was a CR
	left      int64 // BDAT: bytes of the chunk to come
	last      bool  // BDAT: it is the last
	void      bool  // BDAT: the chunk is read and dropped
	chunks    bool  // BDAT: the transaction uses it
	size      int64 // of the text so far
	bench     benchHeader
	duties    []duty // scratch

	farm farmSession // what only a Farm needs
}

// recipient is one who was accepted.
type recipient struct {
	duty
	domainFrom, domainTo int    // in session.domains
	place                *place // of a Farm
}

// mode says what the next bytes are.
type mode uint8

const (
	commands mode = iota
	text          // of DATA
	chunk         // of BDAT
)

func (ss *session) reset(s *Server, ctx context.Context, conn net.Conn, at *place) {
	if len(ss.buf) != bufferBytes {
		ss.buf = make([]byte, bufferBytes)
	}
	*ss = session{
		s: s, ctx: ctx, conn: conn, raw: conn,
		buf: ss.buf, out: ss.out[:0], rcpts: ss.rcpts[:0], domains: ss.domains[:0],
		duties: ss.duties[:0], bench: benchHeader{line: ss.bench.line[:0]},
		farm: ss.farm.reset(s.farm, at),
	}
}

// run serves the connection to its end.
func (ss *session) run() {
	defer ss.leave()
	if v := ss.connect(); !ss.answer(v, ss.s.greeting) || v.reply != nil {
		ss.over = true
	}
	for {
		for !ss.over && ss.advance() {
		}
		if len(ss.out) > 0 && !ss.flush() || ss.over {
			return
		}
		if !ss.fill() {
			return
		}
	}
}

// flush writes the replies that wait.
func (ss *session) flush() bool {
	if ss.farm.tarpit > 0 {
		return ss.drip()
	}
	_, err := ss.conn.Write(ss.out)
	ss.out = ss.out[:0]
	return err == nil
}

// fill reads more. The replies have been written by then: who waits for the peer
// must not keep it waiting.
func (ss *session) fill() bool {
	if ss.r == ss.w {
		ss.r, ss.w = 0, 0
	} else if ss.r > 0 {
		ss.w = copy(ss.buf, ss.buf[ss.r:ss.w])
		ss.r = 0
	}
	if ss.w == len(ss.buf) { // a command that does not end
		return false
	}
	now := time.Now()
	if ss.by.Sub(now) < ss.s.o.Idle-ss.s.o.Idle/8 {
		ss.by = now.Add(ss.s.o.Idle)
		if ss.conn.SetDeadline(ss.by) != nil { // the whole of it: writes too
			return false
		}
	}
	n, err := ss.conn.Read(ss.buf[ss.w:])
	ss.w += n
	if ss.mode != commands && ss.w == len(ss.buf) && len(ss.buf) < largeBytes {
		ss.buf = append(make([]byte, 0, largeBytes), ss.buf...)[:largeBytes]
	}
	return n > 0 || err == nil
}

// advance does one thing with what has been read, and reports false when it
// needs more.
func (ss *session) advance() bool {
	if ss.r == ss.w {
		return false
	}
	switch ss.mode {
	case text:
		return ss.takeText()
	case chunk:
		return ss.takeChunk()
	case commands:
	}
	i := bytes.IndexByte(ss.buf[ss.r:ss.w], '\n')
	if i < 0 {
		return false
	}
	line := ss.buf[ss.r : ss.r+i]
	ss.r += i + 1
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	ss.command(line)
	if len(ss.out) > outBytes && !ss.flush() {
		ss.over = true
	}
	return true
}

// answer does what a verdict wants, usual being the reply of no verdict. It
// reports false when the connection is to be cut.
func (ss *session) answer(v verdict, usual []byte) bool {
	if v.delay > 0 { // what was said before must not wait as well
		if len(ss.out) > 0 && !ss.flush() || !pause(ss.ctx, v.delay) {
			ss.over = true
			return false
		}
	}
	if v.hang || v.reset || v.drop {
		ss.s.n.dropped.Add(1)
		if v.place != nil {
			v.place.n.dropped.Add(1)
		}
		ss.cut(v)
		return false
	}
	if v.reply == nil {
		ss.say(usual)
		return true
	}
	ss.count4or5(v)
	ss.say(v.reply)
	if v.code == 421 {
		ss.over = true
	}
	return true
}

func (ss *session) count4or5(v verdict) {
	if v.code < 500 {
		ss.s.n.deferred.Add(1)
	} else {
		ss.s.n.refused.Add(1)
	}
	switch {
	case v.place == nil:
	case v.code < 500:
		v.place.n.deferred.Add(1)
	default:
		v.place.n.refused.Add(1)
	}
}

// cut ends the connection without a word.
func (ss *session) cut(v verdict) {
	ss.out = ss.out[:0]
	ss.over = true
	if v.reset {
		if c, ok := ss.raw.(*net.TCPConn); ok {
			_ = c.SetLinger(0) // Close sends RST
		}
	}
	if !v.hang || ss.raw.SetDeadline(time.Time{}) != nil {
		return
	}
	for { // the end of ctx closes it
		if _, err := ss.raw.Read(ss.buf); err != nil {
			return
		}
	}
}

// clear forgets the transaction.
func (ss *session) clear() {
	ss.mail, ss.chunks, ss.void = false, false, false
	ss.rcpts, ss.domains = ss.rcpts[:0], ss.domains[:0]
	ss.size = 0
	ss.bench.reset()
	ss.farm.clear()
}

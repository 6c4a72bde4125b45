package sink

import (
	"bytes"
	"context"
	"net"
	"strconv"
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
	conn net.Conn

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
}

// recipient is one who was accepted.
type recipient struct {
	duty
	domainFrom, domainTo int // in session.domains
}

// mode says what the next bytes are.
type mode uint8

const (
	commands mode = iota
	text          // of DATA
	chunk         // of BDAT
)

func (ss *session) reset(s *Server, ctx context.Context, conn net.Conn) {
	if len(ss.buf) != bufferBytes {
		ss.buf = make([]byte, bufferBytes)
	}
	*ss = session{
		s: s, ctx: ctx, conn: conn,
		buf: ss.buf, out: ss.out[:0], rcpts: ss.rcpts[:0], domains: ss.domains[:0],
		duties: ss.duties[:0], bench: benchHeader{line: ss.bench.line[:0]},
	}
}

// run serves the connection to its end.
func (ss *session) run() {
	if v := ss.s.o.Script.ask(AtConnect, nil); !ss.answer(v, ss.s.greeting) || v.reply != nil {
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

var (
	replyOK       = []byte("250 2.0.0 ok\r\n")
	replyMail     = []byte("250 2.1.0 ok\r\n")
	replyRcpt     = []byte("250 2.1.5 ok\r\n")
	replyGo       = []byte("354 go on\r\n")
	replyTaken    = []byte("250 2.0.0 taken\r\n")
	replyBye      = []byte("221 2.0.0 bye\r\n")
	replySequence = []byte("503 5.5.1 not now\r\n")
	replyUnknown  = []byte("500 5.5.2 what\r\n")
	replyMany     = []byte("452 4.5.3 too many recipients\r\n")
	replyNobody   = []byte("554 5.5.1 no recipients\r\n")
)

// command answers one line.
func (ss *session) command(line []byte) {
	if len(line) < 4 {
		ss.unknown()
		return
	}
	verb := string4(line)
	switch verb {
	case "MAIL":
		ss.mailFrom(line)
	case "RCPT":
		ss.rcptTo(line)
	case "DATA":
		ss.data()
	case "BDAT":
		ss.bdat(line)
	case "EHLO", "LHLO", "HELO":
		if (verb == "LHLO") != ss.s.o.LMTP {
			ss.unknown()
			return
		}
		ss.clear()
		ss.hello = true
		if verb == "HELO" {
			ss.say(replyOK)
			return
		}
		ss.say(ss.s.hello)
	case "RSET":
		ss.clear()
		ss.say(replyOK)
	case "NOOP":
		ss.say(replyOK)
	case "QUIT":
		ss.say(replyBye)
		ss.over = true
	default:
		ss.unknown()
	}
}

// string4 is the verb in upper case; the constants keep it from allocating.
func string4(line []byte) string {
	var v [4]byte
	for i := range v {
		c := line[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		v[i] = c
	}
	switch string(v[:]) {
	case "MAIL":
		return "MAIL"
	case "RCPT":
		return "RCPT"
	case "DATA":
		return "DATA"
	case "BDAT":
		return "BDAT"
	case "EHLO":
		return "EHLO"
	case "LHLO":
		return "LHLO"
	case "HELO":
		return "HELO"
	case "RSET":
		return "RSET"
	case "NOOP":
		return "NOOP"
	case "QUIT":
		return "QUIT"
	}
	return ""
}

func (ss *session) say(reply []byte) { ss.out = append(ss.out, reply...) }

func (ss *session) unknown() {
	ss.s.n.unknown.Add(1)
	ss.say(replyUnknown)
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
	if v.drop {
		ss.s.n.dropped.Add(1)
		ss.out = ss.out[:0]
		ss.over = true
		return false
	}
	if v.reply == nil {
		ss.say(usual)
		return true
	}
	if v.code < 500 {
		ss.s.n.deferred.Add(1)
	} else {
		ss.s.n.refused.Add(1)
	}
	ss.say(v.reply)
	if v.code == 421 {
		ss.over = true
	}
	return true
}

// clear forgets the transaction.
func (ss *session) clear() {
	ss.mail, ss.chunks, ss.void = false, false, false
	ss.rcpts, ss.domains = ss.rcpts[:0], ss.domains[:0]
	ss.size = 0
	ss.bench.reset()
}

// path returns what stands between the first pair of angle brackets.
func path(line []byte) ([]byte, bool) {
	from := bytes.IndexByte(line, '<')
	if from < 0 {
		return nil, false
	}
	n := bytes.IndexByte(line[from:], '>')
	if n < 0 {
		return nil, false
	}
	return line[from+1 : from+n], true
}

// domain returns the part behind the last "@" in lower case; it changes p.
func domain(p []byte) []byte {
	d := p[bytes.LastIndexByte(p, '@')+1:]
	for i, c := range d {
		if 'A' <= c && c <= 'Z' {
			d[i] = c + 'a' - 'A'
		}
	}
	return d
}

func (ss *session) mailFrom(line []byte) {
	p, ok := path(line)
	switch {
	case !ok:
		ss.unknown()
	case !ss.hello || ss.mail:
		ss.say(replySequence)
	default:
		v := ss.s.o.Script.ask(AtMail, domain(p))
		ss.mail = ss.answer(v, replyMail) && v.reply == nil
	}
}

func (ss *session) rcptTo(line []byte) {
	p, ok := path(line)
	switch {
	case !ok:
		ss.unknown()
		return
	case !ss.mail || ss.chunks:
		ss.say(replySequence)
		return
	case len(ss.rcpts) == maxRcpts:
		ss.say(replyMany)
		return
	}
	r := recipient{domainFrom: len(ss.domains)}
	if ss.s.o.Script != nil {
		ss.domains = append(ss.domains, domain(p)...)
	}
	r.domainTo = len(ss.domains)
	v := ss.s.o.Script.ask(AtRcpt, ss.domains[r.domainFrom:])
	if !ss.answer(v, replyRcpt) || v.reply != nil {
		ss.domains = ss.domains[:r.domainFrom]
		return
	}
	r.duty = parseDuty(p)
	ss.rcpts = append(ss.rcpts, r)
}

func (ss *session) data() {
	if len(ss.rcpts) == 0 || ss.chunks {
		ss.say(replySequence)
		return
	}
	v := ss.s.o.Script.ask(AtData, ss.domainOf(0))
	if !ss.answer(v, replyGo) || v.reply != nil {
		ss.clear()
		return
	}
	ss.mode, ss.lineStart, ss.afterCR = text, true, false
}

// bdat begins a chunk. One that can't be taken is read all the same, since its
// bytes are on the way (RFC 3030 section 2).
func (ss *session) bdat(line []byte) {
	f := bytes.TrimSpace(line[4:])
	num, rest, _ := bytes.Cut(f, []byte{' '})
	n, err := strconv.ParseUint(string(num), 10, 62)
	if err != nil || len(rest) > 0 && !bytes.EqualFold(rest, []byte("LAST")) {
		ss.unknown()
		ss.over = true // what follows is text or command, and nobody can tell
		return
	}
	ss.left, ss.last = int64(n), len(rest) > 0
	ss.void = len(ss.rcpts) == 0
	ss.chunks = true
	ss.mode = chunk
	if n == 0 {
		ss.endChunk()
	}
}

func (ss *session) takeChunk() bool {
	n := int(min(ss.left, int64(ss.w-ss.r)))
	if !ss.void {
		ss.observe(ss.buf[ss.r : ss.r+n])
	}
	ss.r += n
	if ss.left -= int64(n); ss.left == 0 {
		ss.endChunk()
	}
	return true
}

func (ss *session) endChunk() {
	ss.mode = commands
	switch {
	case ss.void:
		ss.say(replyNobody)
		ss.clear()
	case ss.last:
		ss.end()
	default:
		ss.say(replyOK)
	}
}

// takeText takes text of DATA up to its end or to the last byte that is certain
// not to belong to it.
func (ss *session) takeText() bool {
	p := ss.buf[ss.r:ss.w]
	if ss.lineStart && p[0] == '.' {
		switch {
		case len(p) >= 3 && p[1] == '\r' && p[2] == '\n':
			ss.r += 3
			ss.mode = commands
			ss.end()
			return true
		case len(p) < 2 || len(p) < 3 && p[1] == '\r':
			return false
		}
		p = p[1:] // the stuffed one
		ss.r++
	}
	n := len(p)
	for at := 0; ; {
		i := bytes.Index(p[at:], newlineDot)
		if i < 0 {
			break
		}
		at += i
		if at > 0 && p[at-1] == '\r' || at == 0 && ss.afterCR { // only CRLF ends a line
			n = at + 1
			break
		}
		at++
	}
	ss.observe(p[:n])
	end := p[:n]
	crlf := end[n-1] == '\n' && (n > 1 && end[n-2] == '\r' || n == 1 && ss.afterCR)
	ss.lineStart, ss.afterCR = crlf, end[n-1] == '\r'
	ss.r += n
	return true
}

var newlineDot = []byte("\n.")

// observe looks at a piece of the text.
func (ss *session) observe(p []byte) {
	ss.size += int64(len(p))
	if ss.s.o.Verify || ss.s.o.Ledger != nil {
		ss.bench.add(p, ss.s.o.Verify)
	}
}

// end answers the end of a text and counts it.
func (ss *session) end() {
	if !ss.s.o.LMTP {
		v := ss.s.o.Script.ask(AtEnd, ss.domainOf(0))
		if v.reply == nil {
			ss.count(ss.rcpts)
		}
		ss.answer(v, replyTaken)
		ss.clear()
		return
	}
	taken := 0
	var cut verdict
	for i, r := range ss.rcpts { // RFC 2033 section 4.2
		v := ss.s.o.Script.ask(AtEnd, ss.domainOf(i))
		if v.reply == nil {
			ss.rcpts[taken] = r
			taken++
		}
		if v.drop {
			cut = v
			continue
		}
		ss.answer(v, replyTaken)
	}
	if taken > 0 {
		ss.count(ss.rcpts[:taken])
	}
	if cut.drop {
		ss.answer(cut, nil)
	}
	ss.clear()
}

func (ss *session) domainOf(i int) []byte {
	return ss.domains[ss.rcpts[i].domainFrom:ss.rcpts[i].domainTo]
}

// count records a message taken for some recipients.
func (ss *session) count(rcpts []recipient) {
	n := &ss.s.n
	n.messages.Add(1)
	n.recipients.Add(int64(len(rcpts)))
	n.bytes.Add(ss.size)
	if !ss.s.o.Verify && ss.s.o.Ledger == nil {
		return
	}
	ss.bench.finish()
	if ss.s.o.Verify && !(ss.bench.found && ss.bench.hash == ss.bench.digest.Sum64()) {
		n.badHash.Add(1)
	}
	ss.duties = ss.duties[:0]
	for _, r := range rcpts {
		if ss.bench.found && !r.none && r.seq != ss.bench.seq {
			n.mis.Add(1)
		}
		ss.duties = append(ss.duties, r.duty)
	}
	if ss.s.o.Ledger != nil {
		ss.s.o.Ledger.add(ss.bench.run, ss.duties)
	}
}

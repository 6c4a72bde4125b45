package sink

import (
	"bytes"
	"strconv"
)

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
		ss.greet(verb)
	case "STAR":
		ss.startTLS(line)
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
	case "STAR":
		return "STAR"
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

// greet answers EHLO, LHLO and HELO.
func (ss *session) greet(verb string) {
	ss.clear()
	v := ss.ask(AtHello, nil, ss.farm.at)
	reply := ss.s.hello
	if verb == "HELO" {
		reply = replyOK
	} else if p := ss.farm.at; p != nil {
		if reply = p.b.hello; ss.farm.secure {
			reply = p.b.helloTLS
		}
	}
	ss.hello = ss.answer(v, reply) && v.reply == nil
}

func (ss *session) mailFrom(line []byte) {
	p, ok := path(line)
	switch {
	case !ok:
		ss.unknown()
	case !ss.hello || ss.mail:
		ss.say(replySequence)
	default:
		v := ss.askMail(line, p)
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
	var v verdict
	if ss.s.farm != nil {
		r.place = ss.s.farm.find(domain(p))
		v = ss.askRcpt(r.place, p)
	} else if ss.s.o.Script != nil {
		ss.domains = append(ss.domains, domain(p)...)
		v = ss.s.o.Script.ask(AtRcpt, ss.domains[r.domainFrom:])
	}
	r.domainTo = len(ss.domains)
	if !ss.answer(v, replyRcpt) || v.reply != nil {
		ss.domains = ss.domains[:r.domainFrom]
		return
	}
	r.duty = parseDuty(p)
	ss.rcpts = append(ss.rcpts, r)
	ss.farm.catch = ss.farm.catch || r.place != nil && r.place.reports
}

func (ss *session) data() {
	if len(ss.rcpts) == 0 || ss.chunks {
		ss.say(replySequence)
		return
	}
	v := ss.ask(AtData, ss.domainOf(0), ss.rcpts[0].place)
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

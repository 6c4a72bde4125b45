package sink

import (
	"bytes"
	"hash/maphash"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"
)

// farmSession is what a connection of a Farm knows more than one of a Server.
type farmSession struct {
	at      *place   // whose address it is; nil: shared, or the front
	entered []*place // that count this connection
	random  *rand.Rand
	shard   uint
	client  string        // its address, for greylists; "" until asked for
	sender  uint64        // hash of MAIL's
	began   int           // transactions with a recipient
	secure  bool          // after STARTTLS
	tarpit  time.Duration // between bytes

	catch    bool    // the transaction has a recipient who gets DSNs
	judged   bool    // the transaction was let pass or refused as a whole
	refusal  verdict // of the whole transaction
	declared int64   // SIZE of MAIL
	dsn      dsnParser
}

func (fs farmSession) reset(f *Farm, at *place) farmSession {
	if f == nil {
		return farmSession{}
	}
	n := farmSession{at: at, entered: fs.entered[:0], random: fs.random, shard: uint(f.server.n.connections.Load()), dsn: fs.dsn}
	if n.random == nil {
		n.random = rand.New(rand.NewPCG(f.o.Seed, uint64(n.shard)))
	}
	n.dsn.reset()
	return n
}

func (fs *farmSession) clear() {
	if fs.catch {
		fs.dsn.reset()
	}
	fs.catch, fs.judged, fs.refusal, fs.declared = false, false, verdict{}, 0
}

// leave gives back what the connection counted for.
func (ss *session) leave() {
	if ss.farm.secure {
		_ = ss.conn.Close() // says goodbye; who does not hear it has gone
	}
	for _, p := range ss.farm.entered {
		p.leave()
	}
}

// ask returns what happens at a stage: by the script, or by the policy of p.
func (ss *session) ask(at Stage, domain []byte, p *place) verdict {
	if ss.s.farm == nil {
		return ss.s.o.Script.ask(at, domain)
	}
	if p == nil || p.b.plain {
		return verdict{}
	}
	if v := ss.gone(p); v.reset {
		return v
	}
	v := p.b.ask(at, ss.farm.random)
	v.place = p
	return v
}

// gone says whether a place does not exist at present.
func (ss *session) gone(p *place) (v verdict) {
	if p.b.Reset || len(p.b.down) > 0 && p.b.isDown(ss.s.farm.since(time.Now())) {
		return verdict{reset: true, place: p}
	}
	return v
}

var (
	replyTooMany  = []byte("421 4.7.0 too many connections\r\n")
	replyEnough   = []byte("421 4.7.0 too many messages on this connection\r\n")
	replyTooFast  = []byte("450 4.7.1 you are sending too fast\r\n")
	replyRcpts    = []byte("452 4.5.3 too many recipients\r\n")
	replyGrey     = []byte("451 4.7.1 greylisted, try again later\r\n")
	replyTooBig   = []byte("552 5.3.4 message too big\r\n")
	replyNeedsTLS = []byte("530 5.7.0 STARTTLS first\r\n")
	replyTLS      = []byte("220 2.0.0 go on\r\n")
)

// connect returns what happens to a new connection.
func (ss *session) connect() verdict {
	p := ss.farm.at
	if ss.s.farm != nil && p != nil {
		if v, stop := ss.meet(p); stop {
			return v
		}
	}
	return ss.ask(AtConnect, nil, p)
}

// meet counts the connection for a place, once, and returns what the place does to
// it if it does anything.
func (ss *session) meet(p *place) (v verdict, stop bool) {
	if slices.Contains(ss.farm.entered, p) {
		return v, false
	}
	ss.farm.entered = append(ss.farm.entered, p)
	allowed := p.enter()
	ss.farm.tarpit = max(ss.farm.tarpit, time.Duration(p.b.Tarpit))
	switch {
	case p.b.Reset:
		return verdict{reset: true, place: p}, true
	case p.b.Blackhole:
		return verdict{hang: true, place: p}, true
	case !allowed:
		return verdict{reply: replyTooMany, code: 421, place: p}, true
	}
	return v, false
}

// askMail returns what happens to MAIL.
func (ss *session) askMail(line, sender []byte) verdict {
	f := ss.s.farm
	if f == nil {
		return ss.s.o.Script.ask(AtMail, domain(sender))
	}
	f.waitHeld()
	ss.farm.sender = maphash.Bytes(f.seed, sender)
	ss.farm.declared = declaredSize(line)
	p := ss.farm.at
	if p != nil && p.b.TLSRequired && !ss.farm.secure {
		return verdict{reply: replyNeedsTLS, code: 530, place: p}
	}
	if p != nil && tooBig(p, ss.farm.declared) {
		return verdict{reply: replyTooBig, code: 552, place: p}
	}
	return ss.ask(AtMail, nil, p)
}

// declaredSize reads SIZE= (RFC 1870 section 6).
func declaredSize(line []byte) int64 {
	for f := range bytes.FieldsSeq(line) {
		if hasPrefixFold(f, "SIZE=") {
			n, err := strconv.ParseInt(string(f[5:]), 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

func tooBig(p *place, size int64) bool { return p.b.Limits.Size > 0 && size > p.b.Limits.Size }

// askRcpt returns what happens to a recipient at p.
func (ss *session) askRcpt(p *place, address []byte) verdict {
	if v, stop := ss.meet(p); stop {
		return v
	}
	if p.b.plain {
		return verdict{}
	}
	if v := ss.gone(p); v.reset {
		return v
	}
	if !ss.farm.judged {
		ss.farm.judged, ss.farm.refusal = true, ss.admit(p)
	}
	limit := p.b.Limits.Recipients
	switch {
	case ss.farm.refusal.reply != nil:
		return ss.farm.refusal
	case limit > 0 && len(ss.rcpts) >= limit:
		p.n.violations.Add(1)
		return verdict{reply: replyRcpts, code: 452, place: p}
	}
	if p.b.AddressReplies {
		if reply, code := addressReply(address); reply != nil {
			return verdict{reply: reply, code: code, place: p}
		}
	}
	if p.b.Greylist > 0 && p.greylisted(tripletOf(ss.s.farm.seed, ss.clientIP(), ss.farm.sender, address), time.Now()) {
		return verdict{reply: replyGrey, code: 451, place: p}
	}
	return ss.ask(AtRcpt, nil, p)
}

// admit judges a transaction by the limits of its first recipient's place.
func (ss *session) admit(p *place) verdict {
	ss.farm.began++
	l := &p.b.Limits
	switch {
	case tooBig(p, ss.farm.declared):
		return verdict{reply: replyTooBig, code: 552, place: p}
	case l.Messages > 0 && ss.farm.began > l.Messages:
		p.n.violations.Add(1)
		return verdict{reply: replyEnough, code: 421, place: p}
	case !p.passes(time.Now()):
		return verdict{reply: replyTooFast, code: 450, place: p}
	}
	return verdict{}
}

// askEnd returns what happens to the text for the ith recipient.
func (ss *session) askEnd(i int) verdict {
	p := ss.rcpts[i].place
	if p != nil && tooBig(p, ss.size) {
		return verdict{reply: replyTooBig, code: 552, place: p}
	}
	return ss.ask(AtEnd, ss.domainOf(i), p)
}

// addressReply reads "450-4.2.1-try-later@domain".
func addressReply(address []byte) (reply []byte, code int) {
	local, _, _ := bytes.Cut(address, []byte{'@'})
	text := string(bytes.ReplaceAll(local, []byte{'-'}, []byte{' '}))
	code, err := replyCode(text)
	if err != nil {
		return nil, 0
	}
	return []byte(text + "\r\n"), code
}

func (ss *session) clientIP() string {
	if ss.farm.client == "" {
		ss.farm.client = hostOf(ss.raw.RemoteAddr())
	}
	return ss.farm.client
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

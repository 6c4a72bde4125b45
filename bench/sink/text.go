package sink

import "bytes"

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
	if ss.reads() {
		ss.bench.add(p, ss.s.o.Verify)
	}
	if ss.farm.catch {
		ss.farm.dsn.add(p)
	}
}

// reads reports whether the header of texts is of interest.
func (ss *session) reads() bool {
	return ss.s.o.Verify || ss.s.o.Ledger != nil || ss.s.farm != nil
}

// end answers the end of a text and counts it.
func (ss *session) end() {
	if !ss.s.o.LMTP {
		v := ss.askEnd(0)
		if v.reply == nil && !v.lost && !v.reset && !v.hang {
			ss.count(ss.rcpts)
		}
		ss.answer(v, replyTaken)
		ss.clear()
		return
	}
	taken := 0
	var cut verdict
	for i, r := range ss.rcpts { // RFC 2033 section 4.2
		v := ss.askEnd(i)
		if v.reply == nil && !v.lost && !v.reset && !v.hang {
			ss.rcpts[taken] = r
			taken++
		}
		if v.drop || v.reset || v.hang {
			cut = v
			continue
		}
		ss.answer(v, replyTaken)
	}
	if taken > 0 {
		ss.count(ss.rcpts[:taken])
	}
	if cut.drop || cut.reset || cut.hang {
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
	if !ss.reads() {
		return
	}
	ss.bench.finish()
	whole := !ss.s.o.Verify || ss.bench.found && ss.bench.Hash == ss.bench.digest.Sum64()
	for i := range rcpts {
		if ss.bench.found && !rcpts[i].none && rcpts[i].seq != ss.bench.Seq {
			n.mis.Add(1)
		}
	}
	if f := ss.s.farm; f != nil {
		if ss.farm.catch {
			f.heed(&ss.farm.dsn)
			whole = whole || onlyReports(rcpts)
		}
		f.deliver(&delivery{header: ss.bench.Header, found: ss.bench.found, whole: whole, shard: ss.farm.shard, rcpts: rcpts})
	}
	if !whole {
		n.badHash.Add(1)
	}
	if ss.s.o.Ledger != nil {
		ss.duties = ss.duties[:0]
		for _, r := range rcpts {
			ss.duties = append(ss.duties, r.duty)
		}
		ss.s.o.Ledger.add(ss.bench.Run, ss.duties)
	}
}

func onlyReports(rcpts []recipient) bool {
	for i := range rcpts {
		if !rcpts[i].place.reports {
			return false
		}
	}
	return true
}

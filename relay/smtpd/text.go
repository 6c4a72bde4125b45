package smtpd

import (
	"strconv"
	"time"

	"postrider/internal/mail"
	"postrider/internal/wire"
	"postrider/relay/smtp"
)

// minSwallow is how long a refused chunk may at least be to be read over.
const minSwallow = 1 << 20

// data does DATA and the text behind it.
func (e *engine) data(arg []byte) {
	s, rule := e.textAllowed()
	switch {
	case !s.IsZero():
	case len(arg) > 0:
		s, rule = replyNoArgument, ruleSyntax
	case e.chunks: // RFC 3030 section 2
		s, rule = replyInChunks, ruleOrder
	default:
		s, rule = e.h.Data(), ruleHandler
	}
	if !s.IsZero() && !s.OK() {
		e.refuseData(s, rule)
		return
	}
	e.begin(false)
	e.w.AddString("354 End with a dot on a line of its own\r\n")
	for end := false; !end; {
		b := e.w.Buffered()
		if len(b) == 0 {
			if !e.fillText() {
				return
			}
			continue
		}
		var n int
		n, end = e.take(b)
		e.w.Discard(n)
	}
	e.w.SetBulk(false)
	e.finish()
	e.w.SetBusy(false)
}

// refuseData refuses DATA. DATA ends a group of pipelined commands (RFC 2920
// section 3.1), so what is there already is a text that nobody asked for; as
// commands it must not be read.
func (e *engine) refuseData(s mail.Status, rule string) {
	if len(e.w.Buffered()) > 0 {
		e.stop(replyTextEarly, ruleEarly, wire.ReasonProtocol)
		return
	}
	e.dataFailed = true
	e.give(s, rule)
}

// textAllowed says what stands against a text now.
func (e *engine) textAllowed() (mail.Status, string) {
	switch {
	case !e.open:
		return replyNeedMail, ruleOrder
	case e.rcpts == 0 && e.lmtp: // RFC 2033 section 4.2
		return replyNeedMail, ruleOrder
	case e.rcpts == 0:
		return replyNoRecipients, ruleOrder
	}
	return mail.Status{}, ""
}

// bdat does one BDAT and its chunk (RFC 3030).
func (e *engine) bdat(arg []byte) {
	size, last, ok := smtp.ParseBdat(arg)
	if !ok {
		e.stopInChunk(replyBdatSyntax, ruleSyntax)
		return
	}
	if s, rule := e.textAllowed(); !s.IsZero() {
		e.refuseChunk(size, s, rule)
		return
	}
	if size == 0 && !last {
		if e.junk++; e.junk > e.lim.Junk {
			e.stop(replyJunk, ruleJunk, wire.ReasonJunk)
			return
		}
	}
	if !e.chunks {
		if s := e.h.Data(); !s.IsZero() && !s.OK() {
			e.refuseChunk(size, s, ruleHandler)
			return
		}
		e.begin(true)
	}
	if size > e.lim.MessageBytes-e.size { // counted before it is read
		e.refuseChunk(size, replyTooBig, ruleSize)
		return
	}
	if !e.readChunk(size) {
		return
	}
	if last {
		if text := e.text.Finish(); e.fail.IsZero() {
			e.write(text)
		}
		e.finish()
	} else if !e.fail.IsZero() {
		e.reset()
		e.give(e.fail, e.failRule)
	} else {
		b := append(e.w.Room(replyRoom), "250 2.0.0 "...)
		b = strconv.AppendInt(b, size, 10)
		e.w.Add(append(b, " octets received\r\n"...))
	}
	e.w.SetBusy(false)
}

// readChunk reads size octets of text.
func (e *engine) readChunk(size int64) bool {
	e.w.SetBusy(true)
	e.w.SetBulk(true)
	e.began, e.received = time.Time{}, 0
	for size > 0 {
		b := e.w.Buffered()
		if len(b) == 0 {
			if !e.fillText() {
				return false
			}
			continue
		}
		b = b[:min(int64(len(b)), size)]
		e.take(b)
		e.w.Discard(len(b))
		size -= int64(len(b))
	}
	e.w.SetBulk(false)
	return true
}

// refuseChunk reads a chunk over and answers with s. The transaction is over: of a
// text that lacks a chunk nothing may be taken, so further ones get 503. A chunk
// that is too long even for that ends the session.
func (e *engine) refuseChunk(size int64, s mail.Status, rule string) {
	if size > max(2*e.lim.MessageBytes, minSwallow) {
		e.stop(replyChunkHuge, ruleSize, wire.ReasonProtocol)
		return
	}
	e.failText = append(e.failText[:0], s.Text...)
	s.Text = e.failText
	e.reset()
	e.fail = s // so that nothing is written
	if !e.readChunk(size) {
		return
	}
	e.give(s, rule)
	e.w.SetBusy(false)
}

// stopInChunk refuses a BDAT whose chunk has no end that is known: what follows
// may be text or commands, so the session can not go on.
func (e *engine) stopInChunk(s mail.Status, rule string) {
	if e.give(s, rule); !e.ended {
		e.stop(replyChunkLost, "", wire.ReasonProtocol) // one refusal, one event
	}
}

// begin readies for a text.
func (e *engine) begin(chunks bool) {
	e.chunks = chunks
	e.text = smtp.TextReader{Chunk: chunks, Normalize: e.text.Normalize}
	e.scan.Reset()
	e.size, e.received, e.began = 0, 0, time.Time{}
	e.fail, e.failRule = mail.Status{}, ""
	e.w.SetBusy(true)
	e.w.SetBulk(true)
}

// fillText waits for more of a text: at most Limits.Data for each block, and in
// all so long as Limits.DataRate allows.
func (e *engine) fillText() bool {
	now := time.Now()
	if e.began.IsZero() {
		e.began = now
	}
	by := now.Add(e.lim.Data)
	if e.lim.DataRate > 0 {
		earned := time.Duration(e.received/e.lim.DataRate) * time.Second
		if slow := e.began.Add(e.lim.DataGrace + earned); slow.Before(by) {
			by = slow
		}
	}
	e.w.ReadBy(by, e.lim.Data)
	if err := e.w.Fill(); err != nil {
		e.lost(err)
		return false
	}
	e.arrived = time.Now()
	return true
}

// take writes the text in b to the Session and returns how much of b it used and
// whether the text ended.
func (e *engine) take(b []byte) (used int, end bool) {
	for used < len(b) && !end {
		text, n, over := e.text.Next(b[used:])
		used, end = used+n, over
		if len(text) > 0 && e.fail.IsZero() {
			e.write(text)
		}
	}
	e.received += int64(used)
	return used, end
}

// write hands text to the Session unless something stands against it.
func (e *engine) write(text []byte) {
	e.size += int64(len(text))
	if !e.scan.Done() {
		e.scan.Scan(text)
	}
	switch {
	case !e.fail.IsZero(): // a Delivered-To
	case e.text.Bare:
		e.refuseText(replyBare, ruleEndings)
	case e.text.NUL:
		e.refuseText(replyNUL, ruleEndings)
	case e.size > e.lim.MessageBytes:
		e.refuseText(replyTooBig, ruleSize)
	case e.scan.Received > e.lim.Received: // RFC 5321 section 6.3
		e.refuseText(replyLoop, ruleLoop)
	case e.scan.HeaderBytes > int64(e.lim.HeaderBytes):
		e.refuseText(replyHeaderBig, ruleHeader)
	case len(text) > 0:
		if s := e.h.Write(text); !s.IsZero() && !s.OK() {
			e.refuseText(s, ruleHandler)
		}
	}
}

// refuseText notes the reply that the text will get and lets the Session forget
// it; what is left of the text is read over.
func (e *engine) refuseText(s mail.Status, rule string) {
	e.failText = append(e.failText[:0], s.Text...) // the Session may reuse it in Reset
	s.Text = e.failText
	e.fail, e.failRule = s, rule
	e.drop()
}

// delivered asks the Session about a Delivered-To field.
func (e *engine) delivered(value []byte) {
	if !e.fail.IsZero() {
		return
	}
	if s := e.lc.DeliveredTo(value); !s.IsZero() && !s.OK() {
		e.refuseText(s, ruleLoop)
	}
}

// finish answers the end of the text and ends the transaction.
func (e *engine) finish() {
	if e.text.Bare && e.fail.IsZero() {
		e.refuseText(replyBare, ruleEndings) // by the very last octet
	}
	e.deadline = e.arrived.Add(e.lim.Accept)
	if e.fail.IsZero() && time.Now().After(e.deadline) {
		e.refuseText(replyLate, ruleLate)
	}
	s, rule := e.fail, e.failRule
	if s.IsZero() {
		e.touched = false
		e.TLSWaived = e.scan.TLSWaived && !e.RequireTLS
		s, rule = orDefault(e.h.Commit(), replyOK), ruleHandler
	}
	if s.OK() {
		e.m.Messages.Add(1)
		e.m.Bytes.Add(e.size)
		e.junk, e.refused = 0, 0
	}
	e.answer(s, rule)
	e.reset()
}

// answer gives the reply to a text; by LMTP one for each accepted recipient (RFC
// 2033 section 4.2).
func (e *engine) answer(s mail.Status, rule string) {
	if !e.lmtp {
		e.give(s, rule)
		return
	}
	// However many of them refuse, they answer one text and are one error, which may end
	// the session only when all are told.
	refused := mail.Status{}
	each, _ := e.h.(RecipientStatuser)
	for i := range e.rcpts {
		st := s
		if each != nil && e.fail.IsZero() {
			st = orDefault(each.RecipientStatus(i), s)
		}
		if st.Code >= 500 {
			refused = st
		}
		e.say(st, rule)
	}
	e.bears(refused, rule)
}

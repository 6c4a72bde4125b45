package imap

import (
	"strconv"

	"postrider/access/imap/search"
	"postrider/access/imapwire"
)

// list is messages in the order in which they are told.
type list interface {
	len() int
	// each calls do for the indexes at the places in [from, to).
	each(from, to int, do func(index uint32))
}

// foundList are messages in the order of the mailbox.
type foundList struct{ *search.Found }

func (l foundList) len() int { return l.Count }

func (l foundList) each(from, to int, do func(index uint32)) {
	place := 0
	for _, s := range l.Spans {
		n := int(s.To-s.From) + 1
		for i := max(from-place, 0); i < min(n, to-place); i++ {
			do(s.From + uint32(i))
		}
		if place += n; place >= to {
			return
		}
	}
}

// sortedList are messages in another order.
type sortedList []uint32

func (l sortedList) len() int { return len(l) }

func (l sortedList) each(from, to int, do func(index uint32)) {
	for _, index := range l[from:to] {
		do(index)
	}
}

// number returns what the message at an index is called.
func (x *searching) number(index uint32) uint32 {
	if x.uid {
		return x.sel.view.At(int(index)).UID
	}
	return index + 1
}

// numbersRoom is how much of a long line is made at once.
const numbersRoom = 4 << 10

// sayNumbers sends the line of SEARCH or SORT (RFC 3501 section 7.2.5), with the highest
// mod-sequence if one was asked for (RFC 7162 section 3.1.5).
func (x *searching) sayNumbers(line string, l list) {
	b := append(x.w.BulkRoom(numbersRoom), line...)
	l.each(0, l.len(), func(index uint32) {
		if len(b) > numbersRoom-16 {
			x.add(b)
			b = x.w.BulkRoom(numbersRoom)
		}
		b = strconv.AppendUint(append(b, ' '), uint64(x.number(index)), 10)
	})
	if x.program.ModSeq && l.len() > 0 {
		b = append(b, " (MODSEQ "...)
		b = strconv.AppendUint(b, x.found.ModSeq, 10)
		b = append(b, ')')
	}
	x.add(append(b, "\r\n"...))
}

// sayExtended sends ESEARCH (RFC 9051 section 7.3.4).
func (x *searching) sayExtended(l list) {
	w := &x.want
	if !w.anything() {
		return // RFC 5182 section 2.1
	}
	n := l.len()
	b := append(x.w.BulkRoom(numbersRoom), "* ESEARCH (TAG "...)
	b = append(imapwire.AppendQuoted(b, x.tag), ')')
	if x.uid {
		b = append(b, " UID"...)
	}
	at := func(name string, place int) {
		l.each(place, place+1, func(index uint32) {
			b = strconv.AppendUint(append(b, name...), uint64(x.number(index)), 10)
		})
	}
	if w.min && n > 0 {
		at(" MIN ", 0)
	}
	if w.max && n > 0 {
		at(" MAX ", n-1)
	}
	if w.count {
		b = strconv.AppendInt(append(b, " COUNT "...), int64(n), 10)
	}
	if w.all && n > 0 {
		b = x.appendSet(append(b, " ALL "...), l, 0, n)
	}
	if w.partial {
		b = x.appendPartial(b, l)
	}
	if x.program.ModSeq && n > 0 {
		b = strconv.AppendUint(append(b, " MODSEQ "...), x.found.ModSeq, 10)
	}
	x.add(append(b, "\r\n"...))
}

// appendPartial appends the answer to PARTIAL (RFC 9394 section 3.1).
func (x *searching) appendPartial(b []byte, l list) []byte {
	w := &x.want
	b = strconv.AppendInt(append(b, " PARTIAL ("...), w.partialFrom, 10)
	b = strconv.AppendInt(append(b, ':'), w.partialTo, 10)
	b = append(b, ' ')
	if from, to := w.places(l.len()); from < to {
		b = x.appendSet(b, l, from, to)
	} else {
		b = append(b, "NIL"...)
	}
	return append(b, ')')
}

// appendSet appends the messages at the places in [from, to) as a set, in their order:
// only numbers that follow each other are joined. What fills b is sent, and what is
// returned goes on behind it.
func (x *searching) appendSet(b []byte, l list, from, to int) []byte {
	var first, last uint32
	flush := func() {
		if len(b) > numbersRoom-32 {
			x.add(b)
			b = x.w.BulkRoom(numbersRoom)
		}
		if first > 0 {
			b = append(imapwire.AppendRange(b, first, last), ',')
		}
	}
	l.each(from, to, func(index uint32) {
		n := x.number(index)
		if first > 0 && n == last+1 {
			last = n
			return
		}
		flush()
		first, last = n, n
	})
	flush()
	return b[:len(b)-1]
}

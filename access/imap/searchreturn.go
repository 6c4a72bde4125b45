package imap

import (
	"postrider/access/imap/search"
	"postrider/access/imapwire"
)

// wanted is what a client wants to know of the messages found (RFC 4731, RFC 5182, RFC
// 9394).
type wanted struct {
	extended               bool // the answer is ESEARCH
	min, max, all, count   bool
	save                   bool
	partial                bool
	partialFrom, partialTo int64 // counted from one; negative: from the end
}

// anything reports that there is something to be said.
func (w *wanted) anything() bool { return w.min || w.max || w.all || w.count || w.partial }

// rest reports that messages beside the first and the last one matter.
func (w *wanted) rest() bool { return w.all || w.count || w.partial || !w.min && !w.max }

// returns takes RETURN and its options.
func (x *searching) returns(c *command) reply {
	w := &x.want
	w.extended = x.has(rev2)
	at := c.d.Offset()
	word, good := argument(c, (*imapwire.Decoder).Atom)
	if !good || !imapwire.Is(word, "RETURN") {
		c.d.Seek(at)
		w.all = true
		return reply{}
	}
	w.extended, x.returned = true, true
	if !c.d.SP() || !c.d.Enter() {
		return bad(textArguments)
	}
	if !c.d.Leave() {
		for {
			if !w.option(c) {
				return bad("Not a search option")
			}
			if c.d.Leave() {
				break
			}
			if !c.d.SP() {
				return bad(textArguments)
			}
		}
	}
	if w.all && w.partial { // RFC 9394 section 3.1
		return bad("ALL and PARTIAL exclude each other")
	}
	if !w.anything() && !w.save {
		w.all = true
	}
	return reply{}
}

// option takes an option of RETURN.
func (w *wanted) option(c *command) bool {
	word, _ := c.d.Atom()
	switch {
	case imapwire.Is(word, "MIN"):
		w.min = true
	case imapwire.Is(word, "MAX"):
		w.max = true
	case imapwire.Is(word, "ALL"):
		w.all = true
	case imapwire.Is(word, "COUNT"):
		w.count = true
	case imapwire.Is(word, "SAVE"):
		w.save = true
	case imapwire.Is(word, "PARTIAL"):
		return !w.partial && c.d.SP() && w.window(c)
	default:
		return false
	}
	return true
}

// window takes the range of PARTIAL.
func (w *wanted) window(c *command) bool {
	number := func() (int64, bool) {
		negative := c.d.Byte('-')
		n, ok := c.d.Number()
		if negative {
			return -int64(n), ok && n > 0
		}
		return int64(n), ok && n > 0
	}
	var ok bool
	if w.partialFrom, ok = number(); !ok || !c.d.Byte(':') {
		return false
	}
	if w.partialTo, ok = number(); !ok {
		return false
	}
	w.partial = true
	return w.partialFrom > 0 == (w.partialTo > 0)
}

// part returns what PARTIAL asks for, with the first and the last one where they are
// asked for as well.
func (w *wanted) part(f *search.Found) search.Found {
	from, to := w.places(f.Count)
	part := search.Found{}
	place := 0
	for _, s := range f.Spans {
		for i := s.From; i <= s.To; i++ {
			if place >= from && place < to || w.min && place == 0 || w.max && place == f.Count-1 {
				part.Add(i)
			}
			place++
		}
	}
	return part
}

// places returns the window of PARTIAL: places counted from nought.
func (w *wanted) places(count int) (from, to int) {
	a, b := w.partialFrom, w.partialTo
	if a < 0 { // -1 is the last
		a, b = int64(count)+1+a, int64(count)+1+b
	}
	a, b = min(a, b), max(a, b)
	a, b = max(a, 1), min(b, int64(count))
	if a > b {
		return 0, 0
	}
	return int(a - 1), int(b)
}

package imap

import (
	"strconv"

	"postrider/access/imap/search"
	"postrider/access/imapwire"
)

// doSort does SORT and UID SORT (RFC 5256, RFC 5957), with RETURN as ESORT (RFC 5267).
func (s *session) doSort(c *command) reply {
	x := &searching{session: s, uid: c.uid}
	if r := x.returns(c); !r.good() {
		return r
	}
	if x.want.save {
		return bad("SORT saves nothing")
	}
	if !c.d.SP() {
		return bad(textArguments)
	}
	var order search.Order
	if err := order.Parse(&c.d); err != nil {
		return bad("Not a sort order")
	}
	charset, r := x.charsetName(c)
	if !r.good() {
		return r
	}
	if r := x.parse(c, charset); !r.good() {
		return r
	}
	list, err := x.sort(&order)
	if err != nil {
		return x.failed(err)
	}
	if !x.returned { // IMAP4rev2 changes the answer of SEARCH only
		x.sayNumbers("* SORT", list)
	} else {
		x.sayExtended(list)
	}
	return ok("SORT completed")
}

// sort finds the messages and puts them in order.
func (x *searching) sort(order *search.Order) (sortedList, error) {
	scope := x.scope()
	defer x.watch.end()
	if err := x.program.Run(scope, search.Bound{}, &x.found); err != nil {
		return nil, err
	}
	return order.Sort(scope, &x.found, make([]uint32, 0, x.found.Count))
}

// doThread does THREAD and UID THREAD (RFC 5256).
func (s *session) doThread(c *command) reply {
	x := &searching{session: s, uid: c.uid}
	word, good := argument(c, (*imapwire.Decoder).Atom)
	var algorithm search.Algorithm
	switch {
	case !good:
		return bad(textArguments)
	case imapwire.Is(word, "REFERENCES"):
		algorithm = search.References
	case imapwire.Is(word, "ORDEREDSUBJECT"):
		algorithm = search.OrderedSubject
	default:
		return bad("Threading algorithm is not known")
	}
	charset, r := x.charsetName(c)
	if !r.good() {
		return r
	}
	if r := x.parse(c, charset); !r.good() {
		return r
	}
	threads, err := x.thread(algorithm)
	if err != nil {
		return x.failed(err)
	}
	x.sayThreads(threads)
	return ok("THREAD completed")
}

func (x *searching) thread(a search.Algorithm) (*search.Threads, error) {
	scope := x.scope()
	defer x.watch.end()
	if err := x.program.Run(scope, search.Bound{}, &x.found); err != nil {
		return nil, err
	}
	return a.Thread(scope, &x.found)
}

// sayThreads sends the line of THREAD, in pieces.
func (x *searching) sayThreads(t *search.Threads) {
	b := append(x.w.BulkRoom(numbersRoom), "* THREAD"...)
	if x.found.Count > 0 {
		b = append(b, ' ')
	}
	var walk search.Walk
	for done := false; x.w.Failed() == nil; b = x.w.BulkRoom(numbersRoom) {
		b, done = t.Append(b, &walk, numbersRoom-64, func(dst []byte, index uint32) []byte {
			return strconv.AppendUint(dst, uint64(x.number(index)), 10)
		})
		if done {
			x.add(append(b, "\r\n"...))
			return
		}
		x.add(b)
	}
}

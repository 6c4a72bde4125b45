package imap

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/text/encoding"

	"postrider/access/imap/search"
	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// searching is a SEARCH, SORT or THREAD in hand.
type searching struct {
	*session
	uid      bool
	want     wanted
	returned bool // RETURN was said
	program  search.Program
	found    search.Found
	watch    watchdog
}

// doSearch does SEARCH and UID SEARCH (RFC 9051 section 6.4.4).
func (s *session) doSearch(c *command) reply {
	x := &searching{session: s, uid: c.uid}
	if r := x.returns(c); !r.good() {
		return r
	}
	charset, r := x.charset(c)
	if !r.good() {
		return r
	}
	if r := x.parse(c, charset); !r.good() {
		return r
	}
	if err := x.run(); err != nil {
		return x.failed(err)
	}
	x.saveFound()
	if x.want.extended {
		x.sayExtended(foundList{&x.found})
	} else {
		x.sayNumbers("* SEARCH", foundList{&x.found})
	}
	if x.want.save && !x.want.anything() {
		return ok("SEARCH completed, result saved")
	}
	return ok("SEARCH completed")
}

// charset takes CHARSET and a charset. nil is UTF-8, which also a string without any is
// taken for.
func (x *searching) charset(c *command) (encoding.Encoding, reply) {
	at := c.d.Offset()
	word, good := argument(c, (*imapwire.Decoder).Atom)
	if !good || !imapwire.Is(word, "CHARSET") {
		c.d.Seek(at)
		return nil, reply{}
	}
	if x.has(utf8Accept) { // RFC 6855 section 3
		return nil, bad("UTF-8 was enabled, no other charset may be named")
	}
	return x.charsetName(c)
}

func (x *searching) charsetName(c *command) (encoding.Encoding, reply) {
	name, good := argument(c, (*imapwire.Decoder).AString)
	if !good {
		return nil, bad(textArguments)
	}
	e, known := search.Charset(string(name))
	if !known {
		x.saveNothing()
		return nil, no("BADCHARSET (UTF-8 US-ASCII ISO-8859-1 ISO-8859-15 WINDOWS-1252 KOI8-R)", "Charset is not known")
	}
	return e, reply{}
}

// parse takes the search keys, up to the end.
func (x *searching) parse(c *command, charset encoding.Encoding) reply {
	if !c.d.SP() {
		return bad(textArguments)
	}
	switch err := x.program.Parse(&c.d, charset); {
	case err == nil:
	case errors.Is(err, search.ErrTooDeep):
		return bad("Search keys nest too deep")
	case errors.Is(err, search.ErrTooMany):
		x.saveNothing()
		return no("LIMIT", "Too many search keys")
	case errors.Is(err, search.ErrCharset):
		x.saveNothing()
		return no("", "A string is not of its charset")
	default:
		return bad("Search key is not known or not whole")
	}
	if x.program.ModSeq {
		x.enabled |= condstore // RFC 7162 section 3.1
	}
	return reply{}
}

// run looks for the messages, for no more of them than are wanted.
func (x *searching) run() error {
	scope := x.scope()
	defer x.watch.end()
	w := &x.want
	switch {
	case w.rest():
		return x.program.Run(scope, search.Bound{}, &x.found)
	case !w.max:
		return x.program.Run(scope, search.Bound{Limit: 1}, &x.found)
	}
	if err := x.program.Run(scope, search.Bound{Limit: 1, Last: true}, &x.found); err != nil || !w.min || x.found.Count == 0 {
		return err
	}
	var first search.Found
	if err := x.program.Run(scope, search.Bound{Limit: 1}, &first); err != nil || first.Count == 0 || first.First() == x.found.First() {
		return err
	}
	x.found.Count = 2
	x.found.Spans = slices.Insert(x.found.Spans, 0, first.Spans...)
	x.found.ModSeq = max(x.found.ModSeq, first.ModSeq)
	return nil
}

// scope is the selected mailbox as this session sees it.
func (x *searching) scope() *search.Scope {
	x.watch.begin(x.session)
	sel := x.sel
	return &search.Scope{View: sel.view, Recent: sel.recent, Saved: sel.saved, Now: time.Now(), Check: x.watch.check}
}

// failed answers a search that could not be done.
func (x *searching) failed(err error) reply {
	x.saveNothing()
	switch {
	case errors.Is(err, errLeft):
		return reply{}
	case errors.Is(err, errTooLong):
		return no("LIMIT", "Search takes too long, ask for less")
	}
	return x.trouble(err)
}

// saveNothing empties "$" when a search that should save fails (RFC 5182 section 2.1).
func (x *searching) saveNothing() {
	if x.want.save {
		x.sel.saved = nil
	}
}

// saveFound keeps what "$" stands for from now on: what was told of or, if that was a
// number or nothing, all that was found (RFC 5182 section 2.1).
func (x *searching) saveFound() {
	w := &x.want
	if !w.save {
		return
	}
	f := &x.found
	if w.partial && !w.count {
		part := w.part(f)
		f = &part
	}
	saved := make([]mailbox.Range, 0, len(f.Spans))
	for _, span := range f.Spans {
		x.sel.view.Each(int(span.From), func(i int, e mailbox.Entry) bool {
			if uint32(i) > span.To {
				return false
			}
			if n := len(saved); n > 0 && saved[n-1].To+1 == e.UID {
				saved[n-1].To = e.UID
			} else {
				saved = append(saved, mailbox.Range{From: e.UID, To: e.UID})
			}
			return true
		})
	}
	x.sel.saved = saved
}

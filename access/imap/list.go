package imap

import (
	"golang.org/x/text/unicode/norm"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// maxPatterns is how many patterns one LIST may have.
const maxPatterns = 16

// listReturn is what a LIST says of each name besides its attributes.
type listReturn struct {
	extended   bool // the command had a form of RFC 5258: the answer may have one, too
	subscribed bool
	status     statusItems
	metadata   metadataWanted
}

// list does LIST (RFC 9051 section 6.3.9).
func (s *session) list(c *command) reply {
	var l listing
	var ret listReturn
	d := &c.d
	if !d.SP() {
		return bad(textArguments)
	}
	if d.Peek() == '(' {
		if ret.extended = true; !l.selection(d) || !d.SP() {
			return bad("Selection options are wrong")
		}
	}
	reference, good := d.AString()
	if !good || !d.SP() {
		return bad(textArguments)
	}
	ref, err := imapwire.DecodeMailbox(reference, s.utf8())
	if err != nil {
		return s.trouble(mailbox.ErrName)
	}
	special := false
	if d.Peek() == '(' {
		ret.extended = true
		if r := s.patternList(d, ref, &l); !r.good() {
			return r
		}
	} else if p, good := d.ListMailbox(); !good {
		return bad(textArguments)
	} else if special = len(p) == 0; !special {
		if r := s.addPattern(p, ref, &l); !r.good() {
			return r
		}
	}
	if d.SP() {
		if ret.extended = true; !s.returns(d, &ret) {
			return bad("Return options are wrong")
		}
	}
	if !d.End() {
		return bad(textArguments)
	}
	if special && !ret.extended {
		s.w.AddString("* LIST (\\Noselect) \"/\" \"\"\r\n") // what separates levels
		return ok("LIST completed")
	}
	return s.sayList(&l, &ret)
}

// patternList takes a list of patterns.
func (s *session) patternList(d *imapwire.Decoder, ref string, l *listing) reply {
	if !d.Enter() {
		return bad(textArguments)
	}
	for n := 0; n == 0 || d.SP(); n++ {
		p, good := d.ListMailbox()
		switch {
		case !good:
			return bad(textArguments)
		case n == maxPatterns:
			return no("LIMIT", "Too many patterns")
		}
		if r := s.addPattern(p, ref, l); !r.good() {
			return r
		}
	}
	if !d.Leave() {
		return bad(textArguments)
	}
	return reply{}
}

func (s *session) addPattern(p []byte, ref string, l *listing) reply {
	decoded, err := imapwire.DecodeMailbox(p, s.utf8())
	if err != nil {
		return s.trouble(mailbox.ErrName)
	}
	l.patterns = append(l.patterns, newPattern(norm.NFC.String(ref+decoded)))
	return reply{}
}

// selection takes the selection options.
func (l *listing) selection(d *imapwire.Decoder) bool {
	if !d.Enter() {
		return false
	}
	for n := 0; !d.Leave(); n++ {
		if n > 0 && !d.SP() {
			return false
		}
		word, _ := d.Atom()
		switch {
		case imapwire.Is(word, "SUBSCRIBED"):
			l.subscribed = true
		case imapwire.Is(word, "SPECIAL-USE"):
			l.specialUse = true
		case imapwire.Is(word, "RECURSIVEMATCH"):
			l.recursive = true
		case imapwire.Is(word, "REMOTE"): // there are no others
		default:
			return false
		}
	}
	return !l.recursive || l.subscribed || l.specialUse // RFC 9051 section 6.3.9.1
}

// returns takes "RETURN" and the return options.
func (s *session) returns(d *imapwire.Decoder, ret *listReturn) bool {
	if word, _ := d.Atom(); !imapwire.Is(word, "RETURN") || !d.SP() || !d.Enter() {
		return false
	}
	for n := 0; !d.Leave(); n++ {
		if n > 0 && !d.SP() {
			return false
		}
		word, _ := d.Atom()
		switch {
		case imapwire.Is(word, "SUBSCRIBED"):
			ret.subscribed = true
		case imapwire.Is(word, "CHILDREN"), imapwire.Is(word, "SPECIAL-USE"): // are told anyway
		case imapwire.Is(word, "STATUS"):
			var good bool
			if !d.SP() {
				return false
			}
			if ret.status, good = takeStatusItems(d); !good {
				return false
			}
		case imapwire.Is(word, "METADATA"):
			if !d.SP() || !ret.metadata.entries(d) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// lsub does LSUB (RFC 3501 section 6.3.9).
func (s *session) lsub(c *command) reply {
	d := &c.d
	if !d.SP() {
		return bad(textArguments)
	}
	reference, good := d.AString()
	if !good || !d.SP() {
		return bad(textArguments)
	}
	p, good := d.ListMailbox()
	if !good || !d.End() {
		return bad(textArguments)
	}
	ref, err := imapwire.DecodeMailbox(reference, s.utf8())
	if err != nil {
		return s.trouble(mailbox.ErrName)
	}
	var l listing
	if r := s.addPattern(p, ref, &l); !r.good() {
		return r
	}
	l.gather(s.account)
	l.eachLSUB(func(e *listed) {
		b := append(s.w.BulkRoom(bulkLine), "* LSUB ("...)
		if !e.subscribed {
			b = append(b, `\Noselect`...)
		}
		b = append(b, `) "/" `...)
		b = imapwire.AppendMailbox(b, e.name, s.utf8())
		s.add(append(b, "\r\n"...))
	})
	return ok("LSUB completed")
}

package imap

import (
	"slices"
	"strconv"

	"postrider/access/imapwire"
)

// The capabilities of a session that is logged in, in the order in which they are told.
// Each stands here only when all of it is there.
func capabilities() []string {
	return []string{
		"IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE", "IDLE", "UNSELECT", "UNAUTHENTICATE", "COMPRESS=DEFLATE",
		"CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "MOVE", "PREVIEW", "SAVEDATE",
		"ESEARCH", "SEARCHRES", "WITHIN", "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "INPROGRESS",
		"NAMESPACE", "CHILDREN", "LIST-EXTENDED", "SPECIAL-USE", "CREATE-SPECIAL-USE", "LIST-STATUS", "STATUS=SIZE", "METADATA", "LIST-METADATA",
		"QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "UIDPLUS", "MULTIAPPEND", "CATENATE", "BINARY", "REPLACE", "NOTIFY", "OBJECTID",
	}
}

// loginCapabilities are those of them that are told to who is not logged in.
func loginCapabilities() []string { return capabilities()[:6] }

// appendCapability appends "CAPABILITY ..." for the state that the session is in (RFC
// 9051 section 6.1.1).
func (s *session) appendCapability(b []byte) []byte {
	b = append(b, "CAPABILITY "...)
	if s.account == nil {
		b = s.appendOffered(b, loginCapabilities())
		if s.TLS == 0 && s.o.TLS != nil && !s.o.ImplicitTLS {
			b = append(b, " STARTTLS"...)
		}
		list := s.mechanisms()
		for _, m := range list {
			b = append(append(b, " AUTH="...), m...)
		}
		if !s.mayLogin(list) {
			b = append(b, " LOGINDISABLED"...)
		}
		return b
	}
	b = s.appendOffered(b, capabilities())
	if s.offers("APPENDLIMIT") { // RFC 7889
		b = strconv.AppendInt(append(b, " APPENDLIMIT="...), s.lim.AppendBytes, 10)
	}
	return b
}

// appendOffered appends those of names, of which the first is always offered, that the
// user is offered.
func (s *session) appendOffered(b []byte, names []string) []byte {
	b = append(b, names[0]...)
	for _, name := range names[1:] {
		if s.offers(name) {
			b = append(append(b, ' '), name...)
		}
	}
	return b
}

// offers reports whether the user is offered a capability.
func (s *session) offers(name string) bool {
	if name == "COMPRESS=DEFLATE" && (!s.o.Compress || s.w.Compressed()) {
		return false
	}
	return len(s.off) == 0 || !slices.ContainsFunc(s.off, func(off string) bool { return imapwire.Is([]byte(name), off) })
}

func (s *session) capability(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	s.add(append(s.appendCapability(append(s.room(), "* "...)), "\r\n"...))
	return ok("CAPABILITY completed")
}

// enable does ENABLE (RFC 5161). What is not known is left out.
func (s *session) enable(c *command) reply {
	var told enabled
	n := 0
	for ; c.d.SP(); n++ {
		name, ok := c.d.Atom()
		if !ok {
			return bad(textArguments)
		}
		told |= s.enableOne(name)
	}
	if n == 0 || !c.bare() {
		return bad(textArguments)
	}
	b := append(s.room(), "* ENABLED"...)
	for _, e := range [...]struct {
		bit  enabled
		name string
	}{{condstore, " CONDSTORE"}, {qresync, " QRESYNC"}, {utf8Accept, " UTF8=ACCEPT"}, {rev2, " IMAP4rev2"}} {
		if told&e.bit != 0 {
			b = append(b, e.name...)
		}
	}
	s.add(append(b, "\r\n"...))
	return ok("ENABLE completed")
}

// enableOne enables an extension and returns its bit; QRESYNC enables CONDSTORE too (RFC
// 7162 section 3.2.3).
func (s *session) enableOne(name []byte) enabled {
	var bit, with enabled
	switch {
	case imapwire.Is(name, "CONDSTORE") && s.offers("CONDSTORE"):
		bit = condstore
	case imapwire.Is(name, "QRESYNC") && s.offers("QRESYNC"):
		bit, with = qresync, condstore
	case imapwire.Is(name, "UTF8=ACCEPT") && s.offers("UTF8=ACCEPT"):
		bit = utf8Accept
	case imapwire.Is(name, "IMAP4REV2") && s.offers("IMAP4rev2"):
		bit = rev2
	}
	s.enabled |= bit | with
	return bit
}

// maxID is how many fields ID may have (RFC 2971 section 3.3).
const maxID = 30

// id does ID (RFC 2971). What a client says of itself is read and forgotten.
func (s *session) id(c *command) reply {
	if !c.d.SP() {
		return bad(textArguments)
	}
	if c.d.Enter() {
		for n := 0; !c.d.Leave(); n++ {
			if n > 0 && !c.d.SP() || n == maxID {
				return bad(textArguments)
			}
			if _, ok := c.d.String(); !ok || !c.d.SP() {
				return bad(textArguments)
			}
			if _, ok := c.d.NString(); !ok {
				return bad(textArguments)
			}
		}
	} else if nothing, ok := c.d.NString(); !ok || nothing != nil {
		return bad(textArguments)
	}
	if !c.bare() {
		return bad(textArguments)
	}
	s.w.AddString("* ID (\"name\" \"postrider\")\r\n")
	return ok("ID completed")
}

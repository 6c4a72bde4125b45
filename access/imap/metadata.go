package imap

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// maxEntries is how many entries one command may name.
const maxEntries = 100

// metadataWanted is what a GETMETADATA asks for (RFC 5464 section 4.2).
type metadataWanted struct {
	names   []string // of entries, in lower case
	limited bool     // MAXSIZE was given
	maxSize uint32
	depth   int // how many levels below them are meant
}

const everyDepth = 1 << 30

// wants reports whether an entry is asked for.
func (w *metadataWanted) wants(name string) bool {
	return slices.ContainsFunc(w.names, func(asked string) bool {
		rest, found := strings.CutPrefix(name, asked)
		return found && (rest == "" || rest[0] == '/' && strings.Count(rest, "/") <= w.depth)
	})
}

// entryName returns the name of an entry as it is kept (RFC 5464 section 3.2), or false.
func entryName(b []byte) (string, bool) {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '*' || c == '%' {
			return "", false
		}
	}
	name := strings.ToLower(string(b))
	if strings.Contains(name, "//") || strings.HasSuffix(name, "/") {
		return "", false
	}
	return name, name == "/private" || name == "/shared" || strings.HasPrefix(name, "/private/") || strings.HasPrefix(name, "/shared/")
}

// entries takes one entry, or a list of them.
func (w *metadataWanted) entries(d *imapwire.Decoder) bool {
	list := d.Enter()
	for n := 0; n == 0 || list && d.SP(); n++ {
		b, good := d.AString()
		if !good || n == maxEntries {
			return false
		}
		name, good := entryName(b)
		if !good {
			return false
		}
		w.names = append(w.names, name)
	}
	return !list || d.Leave()
}

// options takes the list of options, if there is one.
func (w *metadataWanted) options(d *imapwire.Decoder) bool {
	if !d.Enter() {
		return true
	}
	for n := 0; n == 0 || d.SP(); n++ {
		word, _ := d.Atom()
		if !d.SP() {
			return false
		}
		switch {
		case imapwire.Is(word, "MAXSIZE"):
			if w.maxSize, w.limited = d.Number(); !w.limited {
				return false
			}
		case imapwire.Is(word, "DEPTH"):
			switch word, _ := d.Atom(); {
			case imapwire.Is(word, "0"):
				w.depth = 0
			case imapwire.Is(word, "1"):
				w.depth = 1
			case imapwire.Is(word, "INFINITY"):
				w.depth = everyDepth
			default:
				return false
			}
		default:
			return false
		}
	}
	return d.Leave() && d.SP()
}

// getMetadata does GETMETADATA (RFC 5464 section 4.2). Options are taken before the
// mailbox, where the grammar has them, and behind it, where the examples do.
func (s *session) getMetadata(c *command) reply {
	var w metadataWanted
	d := &c.d
	if !d.SP() || !w.options(d) {
		return bad(textArguments)
	}
	name, good := d.AString()
	if !good || !d.SP() {
		return bad(textArguments)
	}
	at, before := d.Offset(), w
	if !w.options(d) { // it was the list of entries
		d.Seek(at)
		w = before
	}
	if !w.entries(d) || !c.bare() {
		return bad(textArguments)
	}
	keeper, box, r := s.keeper(name)
	if keeper == nil {
		return r
	}
	longest, err := s.sayMetadata(box, keeper.Metadata, &w)
	if err != nil {
		return s.trouble(err)
	}
	if longest > 0 {
		return okRaw(appendLongEntries(nil, longest), "GETMETADATA completed")
	}
	return ok("GETMETADATA completed")
}

// sayMetadata sends the entries that are wanted; longest is the size of the largest value
// that is larger than wanted.
func (s *session) sayMetadata(box string, read func([]mailbox.Metadata) ([]mailbox.Metadata, error), w *metadataWanted) (longest int, err error) {
	if len(w.names) == 0 {
		return 0, nil
	}
	notes, err := read(nil)
	if err != nil {
		return 0, err
	}
	sep := "("
	var b []byte
	for i := range notes {
		n := &notes[i]
		switch {
		case n.Value == nil || !w.wants(n.Name):
			continue
		case w.limited && len(n.Value) > int(w.maxSize):
			longest = max(longest, len(n.Value))
			continue
		}
		if sep == "(" {
			b = imapwire.AppendMailbox(append(b, "* METADATA "...), box, s.utf8())
			b = append(b, ' ')
		}
		b = append(b, sep...)
		b = imapwire.AppendAString(b, n.Name, false)
		b = append(b, ' ')
		if slices.Contains(n.Value, 0) {
			b = append(b, '~') // value = nstring / literal8
			b = append(imapwire.AppendLiteralHeader(b, int64(len(n.Value))), n.Value...)
		} else {
			b = imapwire.AppendString(b, n.Value, s.utf8())
		}
		sep = " "
	}
	if sep == " " {
		s.add(append(append(s.w.BulkRoom(bulkLine), b...), ")\r\n"...))
	}
	return longest, nil
}

func appendLongEntries(b []byte, longest int) []byte {
	return strconv.AppendInt(append(b, "METADATA LONGENTRIES "...), int64(longest), 10)
}

// setMetadata does SETMETADATA (RFC 5464 section 4.3).
func (s *session) setMetadata(c *command) reply {
	d := &c.d
	name, good := argument(c, (*imapwire.Decoder).AString)
	if !good || !d.SP() || !d.Enter() {
		return bad(textArguments)
	}
	var changes []mailbox.Metadata
	for n := 0; n == 0 || d.SP(); n++ {
		b, good := d.AString()
		if !good || !d.SP() || n == maxEntries {
			return bad(textArguments)
		}
		entry, good := entryName(b)
		if !good || strings.Count(entry, "/") < 2 {
			return bad("Not the name of an entry")
		}
		value, good := takeValue(d)
		if !good {
			return bad(textArguments)
		}
		changes = append(changes, mailbox.Metadata{Name: entry, Value: value})
	}
	if !d.Leave() || !c.bare() {
		return bad(textArguments)
	}
	keeper, _, r := s.keeper(name)
	var err error
	switch k := keeper.(type) {
	case *mailbox.Account:
		err = k.SetMetadata(s.ctx, changes)
	case usedBox:
		r, err = k.set(s.ctx, changes)
	default:
		return r
	}
	switch {
	case !r.good():
		return r
	case err == nil:
		return ok("SETMETADATA completed")
	case errors.Is(err, mailbox.ErrMetadata):
		return no("METADATA MAXSIZE "+strconv.Itoa(mailbox.MaxMetadataBytes), "Value is too large")
	case errors.Is(err, mailbox.ErrTooMany):
		return no("METADATA TOOMANY", "No room for more entries")
	}
	return s.trouble(err)
}

// takeValue takes a value; nil is NIL.
func takeValue(d *imapwire.Decoder) ([]byte, bool) {
	if c := d.Peek(); c == '"' || c == '{' || c == '~' {
		return d.String8()
	}
	return d.NString()
}

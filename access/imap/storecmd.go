package imap

import (
	"strings"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// storing is what a STORE asks for.
type storing struct {
	change mailbox.FlagChange
	silent bool
}

// store does STORE and UID STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).
func (s *session) store(c *command) reply {
	var q storing
	if !c.d.SP() || !c.d.Set(&s.set) || !c.d.SP() || !q.parse(&c.d) {
		return bad(textArguments)
	}
	uids, r := s.uids(c.uid, &s.set)
	if !r.good() {
		return r
	}
	x := s.sel
	if x.readOnly {
		return no("READ-ONLY", "Mailbox was opened to be read only")
	}
	if q.change.Conditional {
		s.enabled |= condstore // RFC 7162 section 3.1
	}
	spans := spansOf(nil, x.view, uids)
	if len(spans) == 0 {
		return ok("STORE completed")
	}
	res, err := x.box.Flags(s.ctx, uids, &q.change)
	if err != nil {
		return s.trouble(err)
	}
	s.changed = true
	asked := 0
	for _, sp := range spans {
		asked += sp.to - sp.from
	}
	s.updatesBut(false, func(ch mailbox.Change) bool {
		return ch.Entry.ModSeq == res.ModSeq && inRanges(uids, ch.Entry.UID) && q.explains(s, ch)
	})
	s.tellStored(c.uid, &q, &res, spans, res.Found < asked)
	return stored(s, c.uid, &res, res.Found < asked)
}

// stored is the tagged line of a STORE.
func stored(s *session, uid bool, res *mailbox.FlagResult, gone bool) reply {
	r := ok("STORE completed")
	if gone && !uid { // RFC 2180 section 4.2.1
		r = no("EXPUNGEISSUED", "Some of the messages were removed by another session")
	}
	if len(res.Modified) == 0 {
		return r
	}
	var set []imapwire.Range
	for _, m := range res.Modified {
		if uid {
			set = append(set, imapwire.Range(m))
			continue
		}
		for _, sp := range spansOf(nil, s.sel.view, []mailbox.Range{m}) {
			set = append(set, imapwire.Range{From: uint32(sp.from) + 1, To: uint32(sp.to)})
		}
	}
	r.code, r.raw = "", imapwire.AppendSet([]byte("MODIFIED "), imapwire.Join(set))
	r.text = "Conditional STORE failed for some"
	return r
}

// parse reads what follows the sequence set.
func (q *storing) parse(d *imapwire.Decoder) bool {
	if d.Enter() {
		word, _ := d.Atom()
		if !imapwire.Is(word, "UNCHANGEDSINCE") || !d.SP() {
			return false
		}
		var good bool
		if q.change.UnchangedSince, good = d.Number64(); !good || !d.Leave() || !d.SP() {
			return false
		}
		q.change.Conditional = true
	}
	q.change.Mode = mailbox.SetFlags
	if d.Byte('+') {
		q.change.Mode = mailbox.AddFlags
	} else if d.Byte('-') {
		q.change.Mode = mailbox.RemoveFlags
	}
	word, _ := d.Atom()
	switch {
	case imapwire.Is(word, "FLAGS"):
	case imapwire.Is(word, "FLAGS.SILENT"):
		q.silent = true
	default:
		return false
	}
	return d.SP() && q.flags(d) && d.End()
}

// flags reads the flags, in parentheses or not.
func (q *storing) flags(d *imapwire.Decoder) bool {
	list := d.Enter()
	if list && d.Leave() {
		return true
	}
	for {
		name, good := d.Flag()
		if !good {
			return false
		}
		if name[0] != '\\' {
			q.change.Keywords = append(q.change.Keywords, string(name))
		} else if bit := systemFlag(name); bit == 0 { // \Recent, too, is not the client's to set
			return false
		} else {
			q.change.Flags |= bit
		}
		if list && d.Leave() || !list && d.End() {
			return true
		}
		if !d.SP() {
			return false
		}
	}
}

// systemFlag returns the flag of this name, or 0.
func systemFlag(name []byte) mailbox.Flags {
	for i, known := range systemFlags() {
		if len(name) == len(known) && imapwire.Is(name[1:], upperFlag(i)) {
			return 1 << i
		}
	}
	return 0
}

// upperFlag is the name of a system flag in capitals, without its backslash.
func upperFlag(i int) string {
	return [...]string{"ANSWERED", "FLAGGED", "DELETED", "SEEN", "DRAFT"}[i]
}

// explains reports that a change is what the STORE asked for and nothing else, so that
// the client, who knows the flags of before, knows those that are now. The view still
// shows those of before.
func (q *storing) explains(s *session, c mailbox.Change) bool {
	x := s.sel
	i, found := x.view.Find(c.Entry.UID)
	if !found {
		return false
	}
	flags := q.change.Flags
	for _, name := range q.change.Keywords {
		for k, word := range x.words[:min(len(x.words), mailbox.WordKeywords)] {
			if strings.EqualFold(word, name) {
				flags |= 1 << (mailbox.FirstKeyword + k)
			}
		}
	}
	switch before := x.view.At(i).Flags; q.change.Mode {
	case mailbox.AddFlags:
		flags |= before
	case mailbox.RemoveFlags:
		flags = before &^ flags
	}
	return flags == c.Entry.Flags
}

// tellStored sends the flags of the messages asked for, as they are now, or with .SILENT
// their mod-sequences where the client wants those.
func (s *session) tellStored(uid bool, q *storing, res *mailbox.FlagResult, spans []span, gone bool) {
	if q.silent && !s.has(condstore) {
		return
	}
	f := fetchers.Get().(*fetcher)
	defer f.release()
	// RFC 7162 section 3.2.4, RFC 9051 section 7.5.2: what tells of flags tells the UID.
	uid = uid || s.has(qresync|rev2)
	f.s, f.view, f.uid, f.spans, f.without = s, s.sel.view, uid, append(f.spans, spans...), res.Modified
	if !q.silent {
		f.plan.add(fetchItem{kind: fetchFlags})
	}
	if s.has(condstore) {
		f.plan.add(fetchItem{kind: fetchModSeq})
	}
	if gone {
		f.plan.needs |= needMeta // by which those are found that are not there
	}
	f.run()
}

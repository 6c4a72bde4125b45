package imap

import (
	"cmp"
	"slices"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

// fetch does FETCH and UID FETCH (RFC 9051 section 6.4.5).
func (s *session) fetch(c *command) reply {
	f := fetchers.Get().(*fetcher)
	defer f.release()
	if !c.d.SP() || !c.d.Set(&s.set) || !c.d.SP() || !f.plan.parse(&c.d) {
		return bad(textArguments)
	}
	f.s, f.uid = s, c.uid
	if f.plan.vanished {
		// RFC 7162 section 3.2.6.
		if !c.uid || !f.plan.modified || !s.has(qresync) {
			return bad("VANISHED is for UID FETCH with CHANGEDSINCE once QRESYNC is enabled")
		}
		if err := f.tellVanished(); err != nil {
			return s.trouble(err)
		}
		if s.ended {
			return reply{}
		}
	}
	uids, r := s.uids(c.uid, &s.set)
	if !r.good() {
		return r
	}
	if f.plan.modified {
		f.plan.add(fetchItem{kind: fetchModSeq})
	}
	if f.plan.has(fetchModSeq) {
		s.enabled |= condstore // RFC 7162 section 3.1
	}
	f.view = s.sel.view
	f.spans = spansOf(f.spans[:0], f.view, uids)
	if f.plan.paged {
		f.page()
	}
	if f.plan.seen && !s.sel.readOnly {
		f.markSeen()
	}
	f.run()
	return f.reply()
}

// spansOf appends the messages of the view in uids, which rise.
func spansOf(dst []span, view *mailbox.View, uids []mailbox.Range) []span {
	for _, r := range uids {
		from, _ := view.Find(r.From)
		to := view.Len()
		if r.To < 1<<32-1 {
			to, _ = view.Find(r.To + 1)
		}
		switch n := len(dst); {
		case from >= to:
		case n > 0 && dst[n-1].to == from:
			dst[n-1].to = to
		default:
			dst = append(dst, span{from, to})
		}
	}
	return dst
}

// page leaves of the messages those of the partial-range, counted among those that the
// other modifiers leave (RFC 9394 section 3.4).
func (f *fetcher) page() {
	total := int64(0)
	f.each(func(int, mailbox.Entry) bool {
		total++
		return true
	})
	from, to := f.plan.pageFrom-1, f.plan.pageTo
	if f.plan.pageFrom < 0 { // from the end: -1 is the last
		from, to = total+f.plan.pageTo, total+f.plan.pageFrom+1
	}
	from, to = min(max(from, 0), total), min(max(to, 0), total)
	var uids []mailbox.Range
	at := int64(0)
	f.each(func(_ int, e mailbox.Entry) bool {
		if at >= from && at < to {
			uids = appendUID(uids, e.UID)
		}
		at++
		return at < to
	})
	f.spans = spansOf(f.spans[:0], f.view, uids)
}

// appendUID appends a UID that is above all of ranges.
func appendUID(ranges []mailbox.Range, uid uint32) []mailbox.Range {
	if n := len(ranges); n > 0 && ranges[n-1].To+1 == uid {
		ranges[n-1].To = uid
		return ranges
	}
	return append(ranges, mailbox.Range{From: uid, To: uid})
}

// inRanges reports that uid is in ranges, which rise.
func inRanges(ranges []mailbox.Range, uid uint32) bool {
	_, found := slices.BinarySearchFunc(ranges, uid, func(r mailbox.Range, uid uint32) int {
		if r.To < uid {
			return -1
		}
		return max(cmp.Compare(r.From, uid), 0)
	})
	return found
}

// markSeen sets \Seen on the messages whose texts are fetched, all in one step. When
// that fails they are given all the same.
func (f *fetcher) markSeen() {
	f.each(func(_ int, e mailbox.Entry) bool {
		if e.Flags&mailbox.FlagSeen == 0 {
			f.marked = appendUID(f.marked, e.UID)
		}
		return true
	})
	if len(f.marked) == 0 {
		return
	}
	s := f.s
	res, err := s.sel.box.Flags(s.ctx, f.marked, &mailbox.FlagChange{Mode: mailbox.AddFlags, Flags: mailbox.FlagSeen})
	if err != nil {
		f.marked = f.marked[:0]
		s.trouble(err)
		return
	}
	s.changed = true
	s.updatesBut(false, func(c mailbox.Change) bool { // which the answers tell
		return c.Entry.ModSeq == res.ModSeq && f.isMarked(c.Entry.UID)
	})
}

func (f *fetcher) isMarked(uid uint32) bool { return len(f.marked) > 0 && inRanges(f.marked, uid) }

// tellMarked adds the flags to the answer for a message that was marked as seen.
func (f *fetcher) tellMarked() {
	if !f.plan.has(fetchFlags) {
		f.out.need(smallRoom)
		f.out.b = append(f.out.b, ' ')
		f.item(&fetchItem{kind: fetchFlags})
	}
	if f.s.has(condstore) && !f.plan.has(fetchModSeq) {
		f.out.need(smallRoom)
		f.out.b = append(f.out.b, ' ')
		f.item(&fetchItem{kind: fetchModSeq})
	}
}

// tellVanished sends which of the UIDs that the client names were expunged.
func (f *fetcher) tellVanished() error {
	s := f.s
	x := s.sel
	next := x.box.Status().UIDNext // of before what is shown
	if s.updates(true); s.ended {
		return nil
	}
	known := []imapwire.Range{}
	if s.set.Saved {
		for _, r := range x.saved {
			known = append(known, imapwire.Range(r))
		}
	} else {
		set := imapwire.NumSet{Ranges: slices.Clone(s.set.Ranges)}
		known = set.Resolve(next - 1)
	}
	gone, err := x.vanishedSince(f.plan.changedSince, known, next)
	if err == nil {
		s.sayVanished("* VANISHED (EARLIER) ", gone)
	}
	return err
}

// reply says how it went.
func (f *fetcher) reply() reply {
	s := f.s
	switch {
	case s.ended:
		if f.damaged != nil {
			s.trouble(f.damaged)
		}
		return reply{}
	case f.damaged != nil:
		return s.trouble(f.damaged)
	case f.limited:
		return no("LIMIT", "Too much was to be read for what was asked for")
	case f.unknown:
		return no("UNKNOWN-CTE", "A part has an encoding that is not known")
	case f.gone > 0 && !f.uid:
		// RFC 2180 section 4.1.3: the others were given.
		return no("EXPUNGEISSUED", "Some of the messages were removed by another session")
	}
	return ok("FETCH completed")
}

package imaptest

import (
	"fmt"
	"slices"
	"strconv"
)

// expunge marks messages and removes them: those, or all that anybody has marked.
func (w *worker) expunge() error {
	uids := w.some(3)
	if len(uids) == 0 || len(w.c.Selected.Messages) < 10 {
		return nil
	}
	box := w.c.Selected.Name
	going := w.o.Ledger.Gone(box, uids)
	res, err := w.c.Do(fmt.Sprintf(`UID STORE %s +FLAGS (\Deleted)`, FormatSet(uids)))
	if err != nil || res.Name != "OK" || w.rng.IntN(4) == 0 {
		return err
	}
	command := "EXPUNGE"
	if w.can["UIDPLUS"] && w.rng.IntN(2) == 0 {
		command = "UID EXPUNGE " + FormatSet(uids)
	}
	if _, err := w.c.OK(command); err != nil {
		return err
	}
	w.o.Ledger.Given(going)
	return nil
}

// copy copies or moves messages to another mailbox.
func (w *worker) copy(command string) error {
	from := w.c.Selected.Name
	to := w.box()
	uids := w.some(4)
	if to == from || len(uids) == 0 || len(w.c.Selected.Messages) < 10 {
		return nil
	}
	going := func([]uint32) []*Promise { return nil }
	if command == "MOVE" {
		asked := w.o.Ledger.Gone(from, uids)
		going = func(moved []uint32) (done []*Promise) {
			for i, uid := range uids {
				if slices.Contains(moved, uid) {
					done = append(done, asked[i])
				}
			}
			return done
		}
	}
	res, err := w.c.Do(fmt.Sprintf("UID %s %s %s", command, FormatSet(uids), Quote(to)))
	if err != nil {
		return err
	}
	code := res.Code
	for _, r := range res.Untagged { // RFC 6851 section 4.3: MOVE tells it before the EXPUNGEs
		if r.CodeName() == "COPYUID" {
			code = r.Code
		}
	}
	if len(code) != 4 { // all were gone
		if res.Name == "OK" || res.Name == "NO" {
			return nil
		}
		return violation("%v", &res.Response)
	}
	if res.Name != "OK" {
		return violation("COPYUID and %v", &res.Response)
	}
	source, err1 := ParseSet(code[2].Text)
	target, err2 := ParseSet(code[3].Text)
	if err1 != nil || err2 != nil || source.Count() != target.Count() {
		return violation("%v", Node{Kind: List, List: code})
	}
	news := target.Each()
	for i, uid := range source.Each() {
		if !slices.Contains(uids, uid) {
			return violation("%s of %v: COPYUID names %d", command, uids, uid)
		}
		if err := w.o.Ledger.Copied(from, uid, to, news[i], command == "MOVE"); err != nil {
			return err
		}
	}
	w.o.Ledger.Given(going(source.Each()))
	return nil
}

// status asks for the numbers of a mailbox.
func (w *worker) status() error {
	items := "MESSAGES UIDNEXT UIDVALIDITY UNSEEN"
	if w.can["CONDSTORE"] && w.c.condstore {
		items += " HIGHESTMODSEQ"
	}
	box := w.box()
	if box == w.c.Selected.Name {
		return nil
	}
	_, err := w.c.OK("STATUS " + Quote(box) + " (" + items + ")")
	return err
}

// conditional changes flags only where nothing has changed since the session knew.
func (w *worker) conditional() error {
	uids := w.some(5)
	highest := w.c.Selected.HighestModSeq
	if len(uids) == 0 || highest == 0 || !w.c.condstore {
		return nil
	}
	flag := w.keyword()
	promised := w.o.Ledger.Flag(w.c.Selected.Name, uids, flag, true)
	res, err := w.c.Do(fmt.Sprintf("UID STORE %s (UNCHANGEDSINCE %d) +FLAGS (%s)", FormatSet(uids), highest, flag))
	if err != nil {
		return err
	}
	if res.CodeName() != "MODIFIED" {
		return w.stored(res, promised)
	}
	failed, err := ParseSet(res.Code[1].Text)
	if err != nil {
		return violation("%v", &res.Response)
	}
	for _, uid := range uids {
		if m := w.c.Selected.Find(uid); !failed.Contains(uid) && m != nil && !m.Flags[flag] {
			return violation("UID %d is not in %v, and has %v", uid, &res.Response, m)
		}
	}
	return nil // of which were changed nothing is promised: the next change tells
}

// changes asks for what has changed.
func (w *worker) changes() error {
	s := w.c.Selected
	if s.HighestModSeq == 0 || len(s.Messages) == 0 {
		return nil
	}
	more := ""
	if w.c.qresync && w.rng.IntN(2) == 0 {
		more = " VANISHED"
	}
	w.c.condstore = true // RFC 7162 section 3.1: this enables it
	since := s.HighestModSeq
	res, err := w.c.OK(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d%s)", since, more))
	if err != nil {
		return err
	}
	for _, r := range res.Untagged {
		if r.Name != "FETCH" {
			continue
		}
		seq := r.Items()["MODSEQ"].List
		if len(seq) != 1 {
			return violation("%v without MODSEQ", r)
		}
		if n, err := strconv.ParseUint(seq[0].Text, 10, 63); err != nil || n <= since && !w.o.Loose {
			return violation("%v for CHANGEDSINCE %d", r, since)
		}
	}
	return nil
}
